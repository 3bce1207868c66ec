package lab

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/crypto/ssh"
	"golang.org/x/term"
)

// Interact runs a shell command, or a login shell when it is empty, with this
// process's terminal, whose size it follows.
func (h *Host) Interact(ctx context.Context, command string) error {
	fd := int(os.Stdin.Fd())
	old, err := term.MakeRaw(fd)
	if err != nil {
		return err
	}
	defer term.Restore(fd, old)
	streams := Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	return h.session(ctx, command, streams, func(s *ssh.Session) error {
		width, height, err := term.GetSize(fd)
		if err != nil {
			width, height = 80, 24
		}
		name := os.Getenv("TERM")
		if name == "" {
			name = "xterm"
		}
		if err := s.RequestPty(name, height, width, nil); err != nil {
			return err
		}
		resized := make(chan os.Signal, 1)
		signal.Notify(resized, syscall.SIGWINCH)
		context.AfterFunc(ctx, func() { signal.Stop(resized) })
		go func() {
			for range resized {
				if width, height, err := term.GetSize(fd); err == nil {
					s.WindowChange(height, width)
				}
			}
		}()
		return nil
	})
}
