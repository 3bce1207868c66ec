// Command xenstore is a drop-in for Xen's store tools. The name by which it is
// invoked says which: xenstore-ls, -read, -write, -rm, -list, -exists, -chmod,
// -watch and -control; "xenstore" takes the tool's name as its first argument.
//
// Options, output and exit codes are the genuine tools', and where those differ
// between releases, the ones of the release that runs. What is meant to differ:
// a watch whose connection is lost ends with an error instead of spinning, and
// chmod -r handles paths of more than 255 bytes.
package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	_ "goxl/cmd/internal/calm"
	"goxl/xenstore"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	code := run(context.Background(), os.Args, env{
		stdout: out, flush: out.Flush, stderr: os.Stderr,
		columns: columns, release: runningRelease(), dial: dial,
	})
	out.Flush()
	os.Exit(code)
}

// env is what a tool needs of its surroundings.
type env struct {
	stdout  io.Writer
	flush   func() error // of stdout
	stderr  io.Writer
	columns func() (int, bool) // of the terminal that stdout is, if it is one
	release int                // the minor number of Xen 4
	dial    func(ctx context.Context, socketOnly bool) (*xenstore.Client, error)
}

func columns() (int, bool) {
	cols, _, err := term.GetSize(int(os.Stdout.Fd()))
	return cols, err == nil
}

func dial(ctx context.Context, socketOnly bool) (*xenstore.Client, error) {
	if socketOnly {
		return xenstore.Dial(ctx, xenstore.WithSocketOnly())
	}
	return xenstore.Dial(ctx)
}

// newestRelease is assumed where no Xen runs.
const newestRelease = 22

// runningRelease returns the minor number of the Xen release that runs.
func runningRelease() int {
	b, err := os.ReadFile("/sys/hypervisor/version/minor")
	if v := os.Getenv("GENUINE_RELEASE"); v != "" && err != nil {
		b, err = []byte(v), nil // a machine without Xen can play any release
	}
	if err != nil {
		return newestRelease
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return newestRelease
	}
	return n
}
