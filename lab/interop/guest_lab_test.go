package interop

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/lab/dom0"
)

// ready is what the lab's guest prints on its console when its init runs.
const ready = "goxl-guest ready"

// guest is a guest of a test: its configuration and the tools that know it.
type guest struct {
	name, kind string
	cfg        string // path of the xl.cfg
	disk       string // path of a raw image, the guest's xvda
	spare      string // path of a raw image to attach later
}

// newGuest writes the configuration and the disk images of a guest that boots
// the lab's Debian kernel. Nothing runs yet.
func newGuest(t *testing.T, name, kind string) *guest {
	t.Helper()
	from := dom0.Getenv(t, "GOXL_GUEST")
	boots := fmt.Sprintf("kernel = %q\nramdisk = %q\nextra = \"console=hvc0\"\nmemory = 192\nvcpus = 1\nmaxvcpus = 2\n", from+"/vmlinuz", from+"/initrd.img")
	if kind == "pv" { // a PVH guest of more memory than target would mean populate on demand
		boots += "maxmem = 256\n"
	}
	return withDevices(t, name, kind, boots)
}

// newBareGuest is newGuest for a test that does not need the guest to do anything:
// it has the same devices and the mini kernel, which leaves them alone and needs no
// unpacking.
func newBareGuest(t *testing.T, name, kind string) *guest {
	t.Helper()
	return withDevices(t, name, kind, fmt.Sprintf("kernel = %q\nmemory = 16\nvcpus = 1\n", dom0.Getenv(t, "GOXL_MINI")))
}

// withDevices gives a guest that is to boot as told a disk and a vif.
func withDevices(t *testing.T, name, kind, boots string) *guest {
	t.Helper()
	dir, err := os.MkdirTemp("", "interop-") // not t.TempDir: it takes over commas, which mean something in disk=
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	g := &guest{name: name, kind: kind,
		cfg: filepath.Join(dir, name+".cfg"), disk: filepath.Join(dir, "disk.img"), spare: filepath.Join(dir, "spare.img")}
	for _, image := range []string{g.disk, g.spare} {
		if err := os.WriteFile(image, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(image, 16<<20); err != nil {
			t.Fatal(err)
		}
	}
	text := fmt.Sprintf("name = %q\ntype = %q\n%sdisk = [ \"%s,raw,xvda,rw\" ]\nvif = [ \"bridge=xenbr0\" ]\n", name, kind, boots, g.disk)
	if err := os.WriteFile(g.cfg, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return g
}

// id returns the domain id by the given tool, or "" when there is no such guest.
func (g *guest) id(t *testing.T, x dom0.Tool) string {
	t.Helper()
	r := x.Run(t, dom0.Patience, "domid", g.name)
	if r.Code != 0 {
		return ""
	}
	return strings.TrimSpace(r.Stdout)
}

// clear destroys what is left of the guest under any of the names that it has had.
func (g *guest) clear(t *testing.T, x dom0.Tool) {
	for _, suffix := range []string{"", "-new", "--incoming", "--migratedaway"} {
		if name := g.name + suffix; x.Run(t, dom0.Patience, "domid", name).Code == 0 {
			x.Run(t, dom0.Patience, "destroy", name)
		}
	}
}

// waitReady reads the guest's console until its init reports. A guest that ends
// before and is made anew, by whoever follows it, is waited for as well. One that
// stays away has died.
func (g *guest) waitReady(t *testing.T, x dom0.Tool) {
	t.Helper()
	const away = 45 * time.Second
	var said string
	seen := time.Now()
	for end := time.Now().Add(dom0.Patience); time.Now().Before(end) && time.Since(seen) < away; time.Sleep(500 * time.Millisecond) {
		id := g.id(t, x)
		if id == "" {
			continue
		}
		seen = time.Now()
		tty, err := exec.Command("xenstore-read", "/local/domain/"+id+"/console/tty").Output()
		if err != nil {
			continue // it is being built
		}
		if said = g.listen(t, strings.TrimSpace(string(tty)), time.Until(end)); strings.Contains(said, ready) {
			return
		}
		seen = time.Now()
		t.Logf("domain %s ended before %q", id, ready)
	}
	t.Fatalf("%s: no %q, and it has been away for %s; its console said:\n%s\nxl list:\n%s", g.name, ready, time.Since(seen).Round(time.Second), said, x.Must(t, "list"))
}

// listen reads a terminal until the guest is ready or ends.
func (g *guest) listen(t *testing.T, tty string, limit time.Duration) string {
	f, err := os.OpenFile(tty, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	if err := f.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	return readUntil(f, ready)
}

func readUntil(r io.Reader, want string) string {
	var all strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		all.Write(buf[:n])
		if err != nil || strings.Contains(all.String(), want) {
			return all.String()
		}
	}
}

// waitGone waits until no domain of that name is left.
func (g *guest) waitGone(t *testing.T, x dom0.Tool) {
	t.Helper()
	eventually(t, dom0.Patience, g.name+" to be gone", func() bool { return g.id(t, x) == "" })
}

// eventually waits for a condition, looking twice a second.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(500 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", limit, what)
		}
	}
}
