package devices_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/lab/dom0"
)

// guest is one whose root disk and network are served by our daemons.
type guest struct {
	t     *testing.T
	name  string
	xl    dom0.Tool
	lines chan string
	sums  map[string]string // of the files that the guest has written, by their paths
}

var written = regexp.MustCompile(`^disk (/data/f\d+) ([0-9a-f]{64}) ok$`)

// makeRoot makes a root disk and an initramfs in dir.
func makeRoot(t *testing.T, dir string) {
	t.Helper()
	source, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(source, "makeroot.sh"), dir)
	cmd.Env = append(os.Environ(), "SOURCE="+source)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make the root disk: %v\n%s", err, out)
	}
}

// startGuest makes a guest of what makeRoot made, which talks to p.
func startGuest(t *testing.T, x dom0.Tool, dir, name, kind string, p *peer) *guest {
	t.Helper()
	text := fmt.Sprintf("name=%q\ntype=%q\nkernel=\"%s/vmlinuz\"\nramdisk=\"%s/initrd.img\"\nextra=\"console=hvc0 quiet echo=%d long=%d\"\n"+
		"memory=192\nmaxmem=256\nvcpus=1\ndisk=[\"%s/root.qcow2,qcow2,xvda,rw\"]\nvif=[\"bridge=xenbr0\"]\n",
		name, kind, dom0.Getenv(t, "GOXL_GUEST"), dir, port(p.echo), port(p.long), dir)
	cfg := filepath.Join(dir, name+".cfg")
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g := &guest{t: t, name: name, xl: x, lines: make(chan string, 10000), sums: map[string]string{}}
	t.Cleanup(func() { x.Run(t, dom0.Patience, "destroy", name) })
	x.Must(t, "create", "-q", cfg)
	id := strings.TrimSpace(x.Must(t, "domid", name))
	g.listen(strings.TrimSpace(dom0.Sh(t, "xenstore-read /local/domain/"+id+"/console/tty")))
	return g
}

// listen sends what the guest says to g.lines, until its console ends.
func (g *guest) listen(tty string) {
	g.t.Helper()
	f, err := os.OpenFile(tty, os.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { f.Close() })
	go func() {
		defer close(g.lines)
		for s := bufio.NewScanner(f); s.Scan(); {
			g.lines <- strings.TrimSpace(s.Text())
		}
	}()
}

// await waits for each of the texts, in any order, and returns the last line that had
// the last of them.
func (g *guest) await(texts ...string) (line string) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), dom0.Patience)
	defer cancel()
	missing := map[string]bool{}
	for _, text := range texts {
		missing[text] = true
	}
	for len(missing) > 0 {
		select {
		case s, ok := <-g.lines:
			if !ok {
				g.t.Fatalf("the console ended before the guest said %q", texts)
			}
			g.note(s)
			for text := range missing {
				if strings.Contains(s, text) {
					delete(missing, text)
					line = s
				}
			}
		case <-ctx.Done():
			g.t.Fatalf("the guest does not say %v of %q", missing, texts)
		}
	}
	return line
}

// note keeps the checksums that the guest tells, and fails at what is wrong.
func (g *guest) note(s string) {
	g.t.Helper()
	for _, bad := range []string{"BAD", "I/O error", "EXT4-fs error", "EXT4-fs warning", "Kernel panic", "Oops"} {
		if strings.Contains(s, bad) {
			g.t.Fatalf("the guest says %q", s)
		}
	}
	if m := written.FindStringSubmatch(s); m != nil {
		g.sums[m[1]] = m[2]
	}
}

// settle takes the lines that are there.
func (g *guest) settle() {
	g.t.Helper()
	for {
		select {
		case s, ok := <-g.lines:
			if !ok {
				g.t.Fatal("the console ended")
			}
			g.note(s)
		default:
			return
		}
	}
}

// rest takes the lines up to the console's end.
func (g *guest) rest() {
	g.t.Helper()
	for end := time.After(dom0.Patience); ; {
		select {
		case s, ok := <-g.lines:
			if !ok {
				return
			}
			g.note(s)
		case <-end:
			g.t.Fatal("the guest does not end")
		}
	}
}
