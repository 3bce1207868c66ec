package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"

	"golang.org/x/sys/unix"

	"goxl/domains"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// Letters of console's own options.
const (
	keptLetter = ownLetter + iota
	backLetter
)

// consoleCommand is "xl console [-t type] [-n number] [-e escape] <Domain>". The
// genuine one runs a program of its own, xenconsole; ours is the client itself,
// with that program's texts and exit statuses. "--log [--back=N] <Domain>" shows what
// our console daemon has kept instead.
func consoleCommand(a *app) *command {
	var kind, escape string
	num, back := 0, 0
	kept := false
	letters := "n:t:"
	if a.release >= 18 {
		letters = "n:t:e:"
	}
	return a.new("console", body{
		table: optionTable{letters, []longOption{{"log", false, keptLetter}, {"back", true, backLetter}}},
		min:   1,
		opt: func(letter byte, arg string) error {
			switch letter {
			case 't':
				if arg != "pv" && arg != "serial" && arg != "vuart" {
					return failf(nil, "console type supported are: pv, serial, vuart")
				}
				kind = arg
			case 'n':
				num = atoi(arg)
			case 'e':
				escape = arg
			case keptLetter:
				kept = true
			case backLetter:
				n, err := strconv.ParseUint(arg, 10, 16)
				if err != nil {
					return failf(nil, "--back=%s: not a number of domains", arg)
				}
				back = int(n)
			}
			return nil
		},
		run: func(ctx context.Context, args []string) error {
			if kept {
				return a.keptConsole(ctx, args[0], back)
			}
			id, err := a.domain(ctx, args[0])
			if err != nil {
				return err
			}
			at := domains.Console{Dom: id, Num: num, Type: kind}
			if kind == "" {
				if at, err = a.host.domains.Console(ctx, id); err != nil {
					return failf(err, "Unable to attach console")
				}
			}
			key, err := escapeKey(escape)
			if err != nil {
				return err
			}
			return a.attach(ctx, at, key, nil)
		},
	})
}

// escapeKey is the character that -e asks for: itself, or "^X" for a control
// character.
func escapeKey(s string) (byte, error) {
	switch {
	case s == "":
		return defaultEscape, nil
	case len(s) == 1:
		return s[0], nil
	case len(s) == 2 && s[0] == '^':
		return s[1] & 0x1f, nil
	}
	return 0, &failure{status: int(unix.EINVAL), text: "Invalid escape argument"}
}

// attach joins our terminal to a guest's console until either ends. Ready, when
// set, is called once both are connected. Without a terminal on both our sides
// the console is only shown.
func (a *app) attach(ctx context.Context, at domains.Console, escape byte, ready func()) error {
	if at.Dom == 0 {
		return &failure{status: int(unix.EINVAL), text: "Can't specify Domain-0"}
	}
	node, err := a.consoleNode(ctx, at)
	if err != nil {
		return err
	}
	lock, err := lockConsole(a.host.lockDir, at.Dom)
	if err != nil {
		return err
	}
	defer lock.release()
	w, err := a.host.store.Watch(ctx, node, xenstore.Merge())
	if err != nil {
		return clientError("Can't set watch for console pty", err)
	}
	defer w.Close()
	if err := a.out.Flush(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM)
	defer stop()
	s := attachment{
		out: a.env.stdout, escape: escape, changed: w.Events(), open: openPTY, warn: a.noPTY,
		tty: func(ctx context.Context) (string, error) { return a.host.store.Read(ctx, node) },
	}
	restore := func() {}
	defer func() { restore() }()
	interactive := isTerminal(os.Stdin) && isTerminal(os.Stdout)
	if interactive {
		s.in = os.Stdin
	}
	s.ready = func() {
		if interactive {
			restore = rawMode(os.Stdin)
		}
		if ready != nil {
			ready()
		}
	}
	if err := s.run(ctx); err != nil {
		return clientError("Could not read tty from store", err)
	}
	return nil
}

// noPTY tells of a pty that cannot be opened, as the genuine client does.
func (a *app) noPTY(path string, err error) {
	fmt.Fprintf(a.env.stderr, "xenconsole: Could not open tty `%s': %s\n", path, strerror(err))
}

// consoleNode is where xenstore names the console's pty. An emulated serial port
// that does not exist falls back to the Xen console.
func (a *app) consoleNode(ctx context.Context, at domains.Console) (string, error) {
	node := consoleNode(at.Dom, at.Type, at.Num)
	if at.Type != "serial" {
		return node, nil
	}
	there, err := a.host.store.Exists(ctx, node)
	if err == nil && !there {
		node = consoleNode(at.Dom, "pv", at.Num)
	}
	return node, err
}

func consoleNode(id abi.DomID, kind string, num int) string {
	dir := fmt.Sprintf("/local/domain/%d/", id)
	switch {
	case kind == "serial":
		return fmt.Sprintf("%sserial/%d/tty", dir, num)
	case kind == "vuart":
		return dir + "vuart/0/tty"
	case num == 0:
		return dir + "console/tty"
	}
	return fmt.Sprintf("%sdevice/console/%d/tty", dir, num)
}
