package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"goxl/lab"
)

// host finds the host that the flags mean.
func host(c *cli.Context) (*lab.Host, error) {
	cache, err := lab.OpenCache(c.String("cache"))
	if err != nil {
		return nil, err
	}
	l, err := lab.Attach(cache, c.String("name"))
	if err != nil {
		return nil, err
	}
	n := c.Int("host")
	if n < 1 || n > len(l.Hosts) {
		return nil, fmt.Errorf("lab %s has hosts 1 to %d, not %d", l.Name, len(l.Hosts), n)
	}
	return l.Hosts[n-1], nil
}

func runCommand() *cli.Command {
	return &cli.Command{
		Name: "run", Usage: "Run a command in dom0; its exit code is ours", ArgsUsage: "-- COMMAND...",
		Flags: []cli.Flag{
			nameFlag(), hostFlag(),
			&cli.BoolFlag{Name: "stdin", Aliases: []string{"i"}, Usage: "pass standard input on"},
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return fmt.Errorf("run: needs a command")
			}
			h, err := host(c)
			if err != nil {
				return err
			}
			s := lab.Streams{Stdout: os.Stdout, Stderr: os.Stderr}
			if c.Bool("stdin") {
				s.Stdin = os.Stdin
			}
			return h.Run(c.Context, strings.Join(c.Args().Slice(), " "), s)
		},
	}
}

func sshCommand() *cli.Command {
	return &cli.Command{
		Name: "ssh", Usage: "A shell, or a command with a terminal, in dom0", ArgsUsage: "[COMMAND...]",
		Flags: []cli.Flag{nameFlag(), hostFlag()},
		Action: func(c *cli.Context) error {
			h, err := host(c)
			if err != nil {
				return err
			}
			command := strings.Join(c.Args().Slice(), " ")
			if !term.IsTerminal(int(os.Stdin.Fd())) {
				return h.Run(c.Context, command, lab.Streams{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr})
			}
			return h.Interact(c.Context, command)
		},
	}
}

func cpCommand() *cli.Command {
	return &cli.Command{
		Name: "cp", Usage: "Copy to or from dom0: the remote path begins with a colon", ArgsUsage: "FROM... TO",
		Flags: []cli.Flag{nameFlag(), hostFlag()},
		Action: func(c *cli.Context) error {
			if c.NArg() < 2 {
				return fmt.Errorf("cp: needs what and where to")
			}
			h, err := host(c)
			if err != nil {
				return err
			}
			from, to := c.Args().Slice()[:c.NArg()-1], c.Args().Get(c.NArg()-1)
			remote, put := strings.CutPrefix(to, ":")
			for _, file := range from {
				source, get := strings.CutPrefix(file, ":")
				switch {
				case put && !get:
					err = h.Put(c.Context, file, remote)
				case get && !put:
					err = h.Get(c.Context, source, to)
				default:
					err = fmt.Errorf("cp %s %s: exactly one side begins with a colon", file, to)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// escape ends a console session, as it does telnet's and xl's.
const escape = 0x1d // Ctrl-]

func consoleCommand() *cli.Command {
	return &cli.Command{
		Name: "console", Usage: "Xen's and dom0's serial console; Ctrl-] leaves it",
		Flags: []cli.Flag{nameFlag(), hostFlag()},
		Action: func(c *cli.Context) error {
			h, err := host(c)
			if err != nil {
				return err
			}
			log, err := os.ReadFile(h.ConsoleLog())
			if err != nil {
				return err
			}
			fmt.Fprintf(c.App.Writer, "%s\n", log[max(0, len(log)-4096):])
			if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
				old, err := term.MakeRaw(fd)
				if err != nil {
					return err
				}
				defer term.Restore(fd, old)
			}
			return h.Console(c.Context, untilEscape{os.Stdin}, os.Stdout)
		},
	}
}

// untilEscape ends at the escape key.
type untilEscape struct{ r io.Reader }

func (u untilEscape) Read(b []byte) (int, error) {
	n, err := u.r.Read(b)
	for i, c := range b[:n] {
		if c == escape {
			return i, io.EOF
		}
	}
	return n, err
}
