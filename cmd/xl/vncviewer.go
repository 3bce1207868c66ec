package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"goxl/domains"
	"goxl/xenctrl/abi"
)

// vncviewerCommand is "xl vncviewer [--autopass] <Domain>": it becomes $VNCVIEWER
// or vncviewer.
func vncviewerCommand(a *app) *command {
	pass := false
	return a.new("vncviewer", body{
		table: optionTable{"a", []longOption{{"autopass", false, 'a'}, {"vncviewer-autopass", false, 'a'}}},
		min:   1,
		opt:   func(byte, string) error { pass = true; return nil },
		run: func(ctx context.Context, args []string) error {
			id, err := a.domain(ctx, args[0])
			if err != nil {
				return err
			}
			screen, err := a.host.domains.VNC(ctx, id)
			if err != nil {
				return &failure{status: 1, cause: err}
			}
			argv, stdin, err := viewer(screen, pass)
			if err != nil {
				return &failure{status: 1, cause: err}
			}
			return &failure{status: 1, cause: execViewer(argv, stdin)}
		},
	})
}

// viewer is the command line that shows a screen. With pass, the password is read
// from the file.
func viewer(screen domains.VNC, pass bool) (argv []string, stdin *os.File, err error) {
	name := os.Getenv("VNCVIEWER")
	if name == "" {
		name = "vncviewer"
	}
	argv = []string{name, fmt.Sprintf("%s:%d", screen.Listen, screen.Port-5900)}
	if !pass || screen.Password == "" {
		return argv, nil, nil
	}
	fd, err := unix.MemfdCreate("vncautopass", 0)
	if err != nil {
		return nil, nil, fmt.Errorf("hand over the password: %w", err)
	}
	stdin = os.NewFile(uintptr(fd), "vncautopass")
	if _, err := stdin.WriteAt([]byte(screen.Password), 0); err != nil {
		stdin.Close()
		return nil, nil, fmt.Errorf("hand over the password: %w", err)
	}
	return append(argv, "-autopass"), stdin, nil
}

// execViewer replaces us by the viewer; it returns only when that fails.
func execViewer(argv []string, stdin *os.File) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("show the screen: %w (set VNCVIEWER to a viewer that is installed)", err)
	}
	if stdin != nil {
		if err := unix.Dup2(int(stdin.Fd()), 0); err != nil {
			return fmt.Errorf("show the screen: %w", err)
		}
	}
	return fmt.Errorf("show the screen: %s: %w", path, unix.Exec(path, argv, os.Environ()))
}

// viewLater starts a viewer of guest id's screen beside us, a moment later, as
// create -V does. It outlives us.
func (a *app) viewLater(id abi.DomID, pass bool) {
	time.Sleep(time.Second) // until QEMU listens
	screen, err := a.host.domains.VNC(context.Background(), id)
	var argv []string
	var stdin *os.File
	if err == nil {
		argv, stdin, err = viewer(screen, pass)
	}
	if err == nil {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Stdout, cmd.Stderr = a.env.stdout, a.env.stderr
		if stdin != nil {
			cmd.Stdin = stdin
			defer stdin.Close()
		}
		err = cmd.Start()
	}
	if err != nil {
		a.rep.report(&failure{cause: err, text: "Unable to execute vncviewer"})
	}
}
