package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"

	"goxl/xenctrl/xentest"
	"goxl/xenstore"
	"goxl/xenstore/server"
	"goxl/xenstore/wire"
)

// sample is one command line that ours and the genuine tool must answer alike.
// "@" at the start of an argument stands for the test's own node.
type sample struct {
	line []string
	cols uint16 // if not 0, stdout is a terminal of this width
}

func line(args ...string) sample { return sample{line: args} }

// terminal is line on a terminal.
func terminal(cols uint16, args ...string) sample { return sample{line: args, cols: cols} }

// wholeTree reports whether the answer depends on more than the test's nodes.
func (s sample) wholeTree() bool {
	return strings.HasSuffix(s.line[0], "ls") || len(s.line) > 1 && s.line[1] == "ls"
}

// setUp makes the nodes that a command line finds, after removing what is left.
func setUp(ctx context.Context, c *xenstore.Client, node string) error {
	var b xenstore.Batch
	b.Mkdir(node)
	b.Rm(node)
	b.Mkdir(node)
	b.SetPerms(node, []wire.Perm{{}})
	for _, n := range [][2]string{
		{"short", "value"}, {"bytes", "tab\tnul\x00bell\a\x08\xff\\ end"}, {"empty", ""}, {"dir/leaf/deep", "1"},
		{"dir/other", strings.Repeat("0123456789", 9)}, {"dir/" + strings.Repeat("long-name-", 9), strings.Repeat("v", 70)},
		{"dir/x59", strings.Repeat("v", 59)}, {"dir/x66", strings.Repeat("v", 66)}, {"dir/x67", strings.Repeat("v", 67)},
	} {
		b.Write(node+"/"+n[0], n[1])
	}
	b.SetPerms(node+"/short", []wire.Perm{{}, {Access: wire.Read, Dom: 5}, {Access: wire.Both, Dom: 7}, {Access: wire.Write, Dom: 32752}})
	b.SetPerms(node+"/dir/leaf", []wire.Perm{{Access: wire.Both}})
	return c.Send(ctx, &b)
}

// dump shows a node and all below it.
func dump(ctx context.Context, c *xenstore.Client, node string, out *strings.Builder) {
	v, err := c.Read(ctx, node)
	perms, _ := c.Do(ctx, wire.OpGetPerms, []byte(node+"\x00"))
	fmt.Fprintf(out, "%s %q %v %q\n", node, v, err, perms)
	names, _ := c.List(ctx, node)
	for _, n := range names {
		dump(ctx, c, node+"/"+n, out)
	}
}

// samples are checked against the genuine tools. An emulated host, on which each
// takes its time, is spared the options that a tool does not have.
func samples(few bool) []sample {
	var all []sample
	all = append(all,
		line("xenstore-control"), line("xenstore-control", "help"), line("xenstore-control", "frob"), line("xenstore-control", "frob", "with", "arguments"),
		line("xenstore-control", "check"), line("xenstore-control", "live-update"), line("xenstore-control", "live-update", "-t"),
		line("xenstore-control", "live-update", "-F", "-c"), line("xenstore-control", "print", "goxl was here"), line("xenstore-control", ""),
	)
	for _, tool := range tools[1:9] {
		all = append(all, line(tool), line(tool, "-h"), line("xenstore", strings.TrimPrefix(tool, "xenstore-"), "-x", "-h"))
		for _, option := range []string{"--help", "-x", "--nope", "-f", "-p", "-t", "-u", "-r", "-R"} {
			if !few {
				all = append(all, line(tool, option))
			}
		}
	}
	all = append(all,
		line("xenstore"), line("xenstore", "frob"), line("xenstore", "-h"), line("xenstore-frob", "x"),

		line("xenstore-read", "@/short"), line("xenstore-read", "-p", "@/short", "@/bytes", "@/empty"),
		line("xenstore-read", "@/short", "-p"), line("xenstore-read", "--pre", "@/short"), line("xenstore-read", "--r", "@/short"),
		line("xenstore-read", "-R", "@/bytes"), line("xenstore-read", "-Rp", "@/bytes", "@/short"), line("xenstore-read", "--raw=1", "@/short"), line("xenstore-read", "--r=1", "@/short"),
		line("xenstore-read", "@/none"), line("xenstore-read", "@/short", "@/none", "@/bytes"), line("xenstore-read", "@"),
		line("xenstore-read", "/"), line("xenstore-read", ""), line("xenstore-read", "@/bad//path"), line("xenstore-read", "@/bad path"),
		line("xenstore-read", "--", "@/short"), line("xenstore-read", "-s", "@/short"), line("xenstore-read", "--socket", "@/short"),
		line("xenstore-read", "-1", "@/short"), line("xenstore-read", "domid"), line("xenstore-read", "/"+strings.Repeat("p", 5000)),
		line("xenstore", "read", "-p", "@/short"), line("xenstore", "read", "@/none"), line("xenstore", "read", "-z", "@/short"),

		line("xenstore-write", "@/new", "v"), line("xenstore-write", "@/new/a", "1", "@/new/b", "2"), line("xenstore-write", "@/new"),
		line("xenstore-write", "@/new/a", "1", "@/new/b"), line("xenstore-write", "-R", "@/new", `raw\n\x41`),
		line("xenstore-write", "@/new", `\t\n\r\\\x41\x4g\xg\101\0\18\777\q\"`), line("xenstore-write", "@/new", `end\`),
		line("xenstore-write", "@/new", `\x 1\x-1\x+2\x0x\x0X3\x`), line("xenstore-write", "@/new", `\3777\08\7`),
		line("xenstore-write", "@/new", "-1"), line("xenstore-write", "--", "@/new", "-1"), line("xenstore-write", "@/new", ""),
		line("xenstore-write", "@/bad path", "v"), line("xenstore-write", "@/bad/", "v"), line("xenstore-write", "@/new", strings.Repeat("x", 5000)),
		line("xenstore-write", "@/ok", "1", "@/bad path", "2"), line("xenstore-write", "@/short/below", "1"), line("xenstore-write", "@/new", "a b", "@/new2", "ü"),

		line("xenstore-rm", "@/short"), line("xenstore-rm", "@/dir"), line("xenstore-rm", "@/none"), line("xenstore-rm", "@/none/below"),
		line("xenstore-rm", "-t", "@/dir/leaf/deep"), line("xenstore-rm", "-t", "@/dir/other", "@/empty"), line("xenstore-rm", "--tidy", "@/none"),
		line("xenstore-rm", "@/short", "@/none/below"), line("xenstore-rm", ""), line("xenstore-rm", "@/bad//x"), line("xenstore-rm", "-t", "@/bad//x"),

		line("xenstore-exists", "@/short"), line("xenstore-exists", "@/none"), line("xenstore-exists", "@/short", "@/none"),
		line("xenstore-exists", "@/short", "@/dir"), line("xenstore-exists", "@/bad path"), line("xenstore-exists", "-s", "@"),

		line("xenstore-list", "@"), line("xenstore-list", "-p", "@"), line("xenstore-list", "@/short"), line("xenstore-list", "@/none"),
		line("xenstore-list", "@/dir", "@/none"), line("xenstore-list", "-p", "@/dir/leaf", "@"), line("xenstore-list", ""),
		line("xenstore-list", "--prefix", "@/dir"), line("xenstore", "list", "-p", "@/dir"),

		line("xenstore-ls", "@"), line("xenstore-ls", "-p", "@"), line("xenstore-ls", "-f", "@"), line("xenstore-ls", "-fp", "@"),
		line("xenstore-ls", "@/none"), line("xenstore-ls", "@/short"), line("xenstore-ls", "@/dir", "@/none"), line("xenstore-ls", "--flat", "--prefix", "@/dir"),
		line("xenstore-ls", "@/bad//x"), line("xenstore-ls", "@/dir", "@"), line("xenstore", "ls", "-p", "@"), line("xenstore-ls", "@/dir/"),
		line("xenstore-ls", "-s", "@/dir"), line("xenstore-ls", ""),
		terminal(80, "xenstore-ls", "@"), terminal(80, "xenstore-ls", "-p", "@"), terminal(80, "xenstore-ls", "-fp", "@"), terminal(40, "xenstore-ls", "-p", "@"),
		terminal(40, "xenstore-ls", "-f", "@"), terminal(200, "xenstore-ls", "-p", "@"), terminal(12, "xenstore-ls", "-p", "@"), terminal(9, "xenstore-ls", "@"),
		terminal(1, "xenstore-ls", "-p", "@"), terminal(70, "xenstore-ls", "-p", "@"), terminal(61, "xenstore-ls", "-p", "@/dir"), terminal(62, "xenstore-ls", "-p", "@/dir"),

		line("xenstore-chmod", "@/short", "n0"), line("xenstore-chmod", "@/short", "r3", "w4", "b5", "n6"), line("xenstore-chmod", "@/short"),
		line("xenstore-chmod", "@/short", "x3"), line("xenstore-chmod", "@/short", ""), line("xenstore-chmod", "@/short", "r"), line("xenstore-chmod", "@/short", "r5x"),
		line("xenstore-chmod", "@/none", "r3"), line("xenstore-chmod", "-r", "@/dir", "r3"), line("xenstore-chmod", "-u", "@/dir/leaf/deep", "b0", "r9"),
		line("xenstore-chmod", "-ur", "@/dir/leaf", "n2"), line("xenstore-chmod", "-u", "relative", "n0"), line("xenstore-chmod", "--recurse", "@/dir", "b1"),
		line("xenstore-chmod", "--upto", "-r", "@/none", "b1"), line("xenstore-chmod", "@/short", "n0", "n0"), line("xenstore-chmod", "@/bad//x", "n0"),

		line("xenstore-watch", "-n", "1", "@/short"), line("xenstore-watch", "-n", "2", "@/short", "@/dir"), line("xenstore-watch", "-n", "0", "@/short"),
		line("xenstore-watch", "--number=1", "@/none"), line("xenstore-watch", "-n1", "@releaseDomain"), line("xenstore-watch", "-n", "1", "@/short", "@/short"),
		line("xenstore-watch", "-n", "1", "@/bad path"), line("xenstore-watch", "-n"), line("xenstore-watch", "--number"), line("xenstore-watch", "-n", "1", "-p", "@/short"),
		line("xenstore-watch", "-n", "1", "-d", "1", "@/short"), line("xenstore-watch", "--depth=1", "-n", "1", "@/short"),
	)
	return all
}

// side is one of the two that are compared.
type side struct {
	name string
	dir  string // of its executables
	env  []string
	node string // for "@"

	control string // xenstore-control, if it lies elsewhere
}

// outcome is what is compared.
type outcome struct {
	Stdout, Stderr string
	Code           int
	Tree           string
}

func (s *side) args(line []string) []string {
	args := make([]string, len(line))
	for i, a := range line {
		if rest, ok := strings.CutPrefix(a, "@"); ok && (rest == "" || rest[0] == '/') {
			a = s.node + rest
		}
		args[i] = a
	}
	return args
}

func (s *side) command(line []string) *exec.Cmd {
	args := s.args(line)
	file := filepath.Join(s.dir, args[0])
	if args[0] == "xenstore-control" && s.control != "" {
		file = s.control
	} else if _, err := os.Stat(file); err != nil {
		file = filepath.Join(s.dir, "xenstore")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	cmd := exec.CommandContext(ctx, file)
	cmd.Args, cmd.Env = args, append(os.Environ(), s.env...)
	cmd.Cancel = func() error { cancel(); return cmd.Process.Kill() }
	return cmd
}

// run runs one sample and shows what it said and left.
func (s *side) run(t *testing.T, c *xenstore.Client, sm sample) outcome {
	t.Helper()
	ctx := t.Context()
	if err := setUp(ctx, c, s.node); err != nil {
		t.Fatal(err)
	}
	var o outcome
	var stdout, stderr bytes.Buffer
	cmd := s.command(sm.line)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var err error
	if sm.cols != 0 {
		err = onTerminal(cmd, sm.cols, &stdout)
	} else {
		err = cmd.Run()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		o.Code = exit.ExitCode()
	} else if err != nil {
		t.Fatalf("%s %q: %v", s.name, sm.line, err)
	}
	o.Stdout, o.Stderr = stdout.String(), stderr.String()
	var tree strings.Builder
	dump(ctx, c, s.node, &tree)
	o.Tree = tree.String()
	return o
}

// onTerminal runs cmd with its output on a terminal of the given width.
func onTerminal(cmd *exec.Cmd, cols uint16, out *bytes.Buffer) error {
	p, tty, err := pty.Open()
	if err != nil {
		return err
	}
	defer p.Close()
	if err := pty.Setsize(p, &pty.Winsize{Rows: 25, Cols: cols}); err != nil {
		return err
	}
	cmd.Stdout = tty
	if err := cmd.Start(); err != nil {
		return err
	}
	tty.Close()
	out.ReadFrom(p) // ends with EIO
	return cmd.Wait()
}

// ourTools makes the tools' names point at the test's own executable.
func ourTools(t *testing.T) string {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range append(tools, "xenstore-frob") {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// compare runs the samples on both sides, one after the other on the same nodes;
// few of them where commands are slow.
func compare(t *testing.T, genuineDir, socket string, few bool) {
	var env []string
	var opts []xenstore.Option
	if socket != "" {
		env = []string{"XENSTORED_PATH=" + socket}
		opts = []xenstore.Option{xenstore.WithPath(socket)}
	}
	c, err := xenstore.Dial(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const node = "/goxl-xenstore-tools"
	defer c.Rm(context.Background(), node)
	genuine := &side{name: "genuine", dir: genuineDir, node: node, env: env}
	// What Debian has in /usr/bin under this name is a wrapper.
	if progs, _ := filepath.Glob(filepath.Join(genuineDir, "../lib/xen-*/bin/xenstore-control")); len(progs) > 0 {
		genuine.control = progs[0]
	}
	ours := &side{name: "ours", dir: ourTools(t), node: node, env: env}
	for i, sm := range samples(few) {
		if few && !xentest.OneIn(3, i) {
			continue
		}
		name := strings.Join(sm.line, " ")
		if len(name) > 60 {
			name = name[:60]
		}
		if sm.cols != 0 {
			name = fmt.Sprintf("%s on %d columns", name, sm.cols)
		}
		t.Run(name, func(t *testing.T) {
			if sm.line[0] == "xenstore-control" && genuine.control == "" {
				t.Skip("no genuine xenstore-control here")
			}
			d := ""
			for range 3 { // a live host's whole tree may change between the two
				if d = cmp.Diff(genuine.run(t, c, sm), ours.run(t, c, sm)); d == "" || !sm.wholeTree() {
					break
				}
			}
			if d != "" {
				t.Errorf("%q (-genuine +ours):\n%s", sm.line, d)
			}
		})
	}
}

// TestGenuineTools compares with genuine tools on this machine, in the folder
// that GENUINE_XENSTORE names, both against our own store. Their release is given
// as GENUINE_RELEASE=17 unless it is our newest.
func TestGenuineTools(t *testing.T) {
	dir := os.Getenv("GENUINE_XENSTORE")
	if dir == "" {
		t.Skip("GENUINE_XENSTORE does not name a folder with Xen's tools")
	}
	if socket := os.Getenv("XENSTORE_TEST_SOCKET"); socket != "" { // a genuine daemon, too
		compare(t, dir, socket, false)
		return
	}
	tmp, err := os.MkdirTemp("", "xs")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(tmp)
	srv := server.New(server.Options{})
	defer srv.Close()
	socket := filepath.Join(tmp, "s")
	if err := srv.Listen(socket); err != nil {
		t.Fatal(err)
	}
	compare(t, dir, socket, false)
}
