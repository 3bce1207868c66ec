package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"

	"goxl/cmd/internal/sdnotify"
	"goxl/domains/logs"
)

// backgroundEnv marks the process that works on in the background. Its descriptor 3
// is a pipe: it writes there why it cannot work, or nothing, and closes it.
const (
	backgroundEnv = "GOXL_CONSOLED_BACKGROUND"
	reportFD      = 3
)

func isBackground() bool { return os.Getenv(backgroundEnv) != "" }

// startBackground starts this program once more, without terminal, and waits until
// it serves.
func startBackground() error {
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start in the background: %w", err)
	}
	defer r.Close()
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start in the background: %w", errors.Join(err, w.Close()))
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), backgroundEnv+"=1")
	cmd.Dir = "/"
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	err = errors.Join(cmd.Start(), w.Close())
	if err != nil {
		return fmt.Errorf("start in the background: %w", err)
	}
	said, err := io.ReadAll(r)
	switch why, ok := strings.CutSuffix(string(said), "\n"); {
	case err != nil:
		return fmt.Errorf("start in the background: %w", err)
	case ok && why == "":
		return cmd.Process.Release()
	case ok:
		return errors.New(why)
	}
	return fmt.Errorf("start in the background: it ended: %v", cmd.Wait())
}

// reportReady tells whoever started us that all guests are served.
func reportReady(log *logs.Logger) {
	report("")
	if err := sdnotify.Send(sdnotify.Ready); err != nil {
		log.Warn("systemd", logs.Error(err))
	}
}

// reportFailure tells why we cannot work, unless we did already.
func reportFailure(err error) { report(strings.ReplaceAll(err.Error(), "\n", "; ")) }

func report(text string) {
	if !isBackground() {
		return
	}
	if err := os.Unsetenv(backgroundEnv); err != nil {
		return
	}
	f := os.NewFile(reportFD, "report")
	defer f.Close()
	fmt.Fprintln(f, text) // who started us may be gone, which is no harm
}
