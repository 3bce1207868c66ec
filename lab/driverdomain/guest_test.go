package driverdomain_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/lab/dom0"
)

// guest is one with Debian's kernel that takes commands from its console.
type guest struct {
	*testing.T
	name, id string
	said     <-chan string
	tty      *os.File
	seen     []string // all lines
	unread   []string // those that nobody has awaited
}

// start makes a guest with the given lines of configuration, and waits until it takes
// commands.
func start(t *testing.T, x, other dom0.Tool, dir, name, text string) *guest {
	t.Helper()
	cfg := filepath.Join(dir, name+".cfg")
	text += fmt.Sprintf("name=%q\ntype=\"pvh\"\nkernel=%q\nvcpus=1\n", name, dom0.Getenv(t, "GOXL_GUEST")+"/vmlinuz")
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Run(t, dom0.Patience, "destroy", name) })
	x.Must(t, "create", "-q", cfg)
	g := &guest{T: t, name: name, id: strings.TrimSpace(other.Must(t, "domid", name))}
	g.said = dom0.ConsoleLines(t, g.id)
	tty := strings.TrimSpace(dom0.Sh(t, "xenstore-read /local/domain/"+g.id+"/console/tty"))
	f, err := os.OpenFile(tty, os.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	g.tty = f
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s said last:\n%s", name, strings.Join(g.seen[max(0, len(g.seen)-60):], "\n"))
		}
	})
	g.await("goxl-commands")
	g.unread = nil
	return g
}

// do has the guest run a line of shell.
func (g *guest) do(line string) {
	g.Helper()
	if _, err := g.tty.WriteString(line + "\n"); err != nil {
		g.Fatal(err)
	}
}

// ask has the guest run a line of shell and returns its output, in one line.
func (g *guest) ask(line string) string {
	g.Helper()
	g.do(`echo "ans""wer:" $(` + line + `)`)
	_, text, _ := strings.Cut(g.await("answer:"), "answer:")
	return strings.TrimSpace(text)
}

// await waits for a line with text and returns it. Each line is found once, also if
// others came first.
func (g *guest) await(text string) string {
	g.Helper()
	for timeout := time.After(dom0.Patience); ; {
		for i, s := range g.unread {
			if strings.Contains(s, text) {
				g.unread = slices.Delete(g.unread, i, i+1)
				return s
			}
		}
		select {
		case s, ok := <-g.said:
			if !ok {
				g.Fatalf("the console of %s ended before %q", g.name, text)
			}
			g.seen, g.unread = append(g.seen, s), append(g.unread, s)
		case <-timeout:
			g.Fatalf("no %q on the console of %s", text, g.name)
		}
	}
}

// sum waits for a line of that beginning and returns the checksum after it.
func (g *guest) sum(prefix string) string {
	g.Helper()
	_, text, _ := strings.Cut(g.await(prefix+" "), prefix+" ")
	f := strings.Fields(text)
	if len(f) == 0 || len(f[0]) != 64 {
		g.Fatalf("%s: %q has no checksum", g.name, text)
	}
	return f[0]
}

// initramfs makes the driver domain's: that of all guests, with more modules, our
// programs and a disk image. Linux takes archives one after the other.
func initramfs(t *testing.T, dir string) string {
	t.Helper()
	tree, file := filepath.Join(dir, "tree"), filepath.Join(dir, "initrd.img")
	if err := os.MkdirAll(tree+"/extra", 0o755); err != nil {
		t.Fatal(err)
	}
	writeScript(t, tree+"/run.sh", "driver")
	dom0.Sh(t, fmt.Sprintf(`set -e
cd %[1]s
for m in xen-evtchn xen-gntdev llc stp bridge tun loop xen-blkback; do
	f=$(find "/lib/modules/$(uname -r)/kernel" -name "$m.ko*")
	[ -n "$f" ] || continue # built in
	case $f in
	*.xz) python3 -c 'import lzma,sys; sys.stdout.buffer.write(lzma.open(sys.argv[1]).read())' "$f" >extra/$m.ko ;;
	*) cp "$f" extra/ ;;
	esac
	echo $m.ko >>extra/order
done
cp %[2]s/xl %[2]s/netback %[2]s/blkback %[2]s/xenstore .
for n in read write ls rm; do ln -s xenstore xenstore-$n; done
qemu-img create -q -f qcow2 d.qcow2 16M
cat %[3]s/initrd.img >%[4]s
find . | busybox cpio -o -H newc >>%[4]s
rm -r %[1]s`, tree, dom0.Getenv(t, "GOXL_BIN"), dom0.Getenv(t, "GOXL_GUEST"), file))
	return file
}

// writeScript writes what a guest runs: its own part and the loop over commands.
func writeScript(t *testing.T, path, part string) {
	t.Helper()
	var text []byte
	for _, name := range []string{part, "loop"} {
		b, err := os.ReadFile("testdata/" + name + ".sh")
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, b...)
	}
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
}
