package main

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"

	"goxl/cmd/internal/getopt"
	"goxl/xenstore"
)

// exit is how a tool ends early: text goes to standard error.
type exit struct {
	code int
	text string
}

func (e *exit) Error() string { return e.text }

// fatalf is errx(3) with exit code 1.
func fatalf(format string, v ...any) error { return &exit{1, fmt.Sprintf(format, v...)} }

// fatal is err(3) with exit code 1: cause is spelled as strerror does.
func fatal(cause error, format string, v ...any) error {
	return fatalf("%s: %s", fmt.Sprintf(format, v...), strerror(cause))
}

// errno returns the errno that libxenstore would report for err.
func errno(err error) syscall.Errno {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no
	}
	return syscall.EINVAL
}

// strerror returns glibc's words for err, which differ from Go's by a capital.
func strerror(err error) string {
	s := errno(err).Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

// tool is one invocation of one of the tools.
type tool struct {
	env
	prog  string // as invoked
	mode  string // "read", "ls", …
	multi bool   // mode was the first argument

	prefix, tidy, upto, recurse, raw, flat, socketOnly bool
	number, depth                                      int32
	args                                               []string

	client *xenstore.Client
	out    []byte // printed once the transaction has succeeded
}

// run is main: it returns the exit code.
func run(ctx context.Context, args []string, e env) int {
	if path.Base(args[0]) == "xenstore-control" {
		return control(ctx, args, e)
	}
	t := &tool{env: e, prog: args[0], number: -1, depth: -1}
	err := t.main(ctx, args)
	if t.client != nil {
		t.client.Close()
	}
	e.stdout.Write(t.out)
	var ex *exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ex):
		if ex.text != "" {
			t.warnf("%s", ex.text)
		}
		return ex.code
	}
	t.warnf("%v", err)
	return 1
}

// warnf is warnx(3).
func (t *tool) warnf(format string, v ...any) {
	fmt.Fprintf(t.stderr, "%s: %s\n", path.Base(t.prog), fmt.Sprintf(format, v...))
}

func (t *tool) main(ctx context.Context, args []string) error {
	mode, ok := strings.CutPrefix(path.Base(args[0]), "xenstore-")
	rest := args[1:]
	if !ok {
		if len(rest) == 0 {
			return t.usage(1)
		}
		t.multi = true
		mode, rest = rest[0], rest[1:]
	}
	switch mode {
	case "read", "write", "rm", "exists", "list", "ls", "chmod", "watch":
		t.mode = mode
	default:
		return fatalf("unknown mode %s\n", mode)
	}
	if err := t.options(rest); err != nil {
		return err
	}
	if t.mode != "ls" && len(t.args) == 0 || t.mode == "write" && len(t.args)%2 == 1 {
		return t.usage(1)
	}
	client, err := t.dial(ctx, t.socketOnly)
	if err != nil {
		return fatal(err, "xs_open")
	}
	t.client = client
	return t.perform(ctx)
}

// options reads the options and leaves the operands in t.args.
func (t *tool) options(args []string) error {
	letters := "hfspturn:R"
	longs := []getopt.Long{
		getopt.Flag("help", 'h'), getopt.Flag("flat", 'f'), getopt.Flag("prefix", 'p'), getopt.Flag("tidy", 't'),
		getopt.Flag("upto", 'u'), getopt.Flag("recurse", 'r'), getopt.Value("number", 'n'), getopt.Flag("raw", 'R'),
	}
	if t.release < 15 {
		longs = append(longs, getopt.Flag("socket", 's'))
	}
	if t.release >= 22 {
		letters += "d:"
		longs = append(longs, getopt.Value("depth", 'd'))
	}
	self := t.prog
	if t.multi {
		self = t.mode
	}
	g := getopt.Scanner{Letters: letters, Longs: longs, Set: t.option, Complain: func(format string, v ...any) {
		fmt.Fprintf(t.stderr, "%s: %s\n", self, fmt.Sprintf(format, v...))
	}}
	var err error
	t.args, err = g.Scan(args)
	return err
}

// option takes one option, which not every mode has.
func (t *tool) option(letter byte, arg string) error {
	modes := map[byte]struct {
		modes string
		flag  *bool
	}{
		'f': {"ls", &t.flat}, 'p': {"read list ls", &t.prefix}, 't': {"rm", &t.tidy}, 'u': {"chmod", &t.upto},
		'r': {"chmod", &t.recurse}, 'R': {"read write", &t.raw}, 'n': {"watch", nil}, 'd': {"watch", nil},
	}
	switch m, ok := modes[letter]; {
	case letter == 'h' && t.release >= 22:
		return t.usage(0)
	case letter == 's': // later releases take it and do nothing
		t.socketOnly = t.release < 15
	case !ok || !strings.Contains(" "+m.modes+" ", " "+t.mode+" "):
		return t.usage(1)
	case m.flag != nil:
		*m.flag = true
	case letter == 'n':
		t.number = atoi(arg)
	default:
		t.depth = atoi(arg)
	}
	return nil
}

// usage ends the tool with the help of its mode.
func (t *tool) usage(code int) error {
	socket := "[-s] "
	if t.release >= 18 {
		socket = ""
	}
	text := map[string]string{
		"":       "<mode> [-h] [...]",
		"read":   "[-h] [-p] " + socket + "[-R] key [...]",
		"write":  "[-h] " + socket + "[-R] key value [...]",
		"rm":     "[-h] " + socket + "[-t] key [...]",
		"exists": "[-h] [-p] " + socket + "key [...]",
		"list":   "[-h] [-p] " + socket + "key [...]",
		"ls":     "[-h] [-f] [-p] " + socket + "[path]",
		"chmod":  "[-h] [-u] [-r] " + socket + "key <mode [modes...]>",
		"watch":  "[-h] [-n NR] key",
	}[t.mode]
	if t.mode == "exists" && t.release >= 22 {
		text = "[-h] key"
	}
	mode := ""
	if t.multi {
		mode = t.mode + " "
	}
	return &exit{code, fmt.Sprintf("Usage: %s %s%s", t.prog, mode, text)}
}
