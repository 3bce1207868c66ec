//go:build linux

package netback_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

const (
	hostIP    = "10.77.0.1"
	guestIP   = "10.77.0.77"
	transfer  = 512 << 10 // bytes each way
	stateDir  = "/run/goxl/netback"
	kernelVif = "/sys/bus/xen-backend/drivers/vif"
)

// TestLabPVH and TestLabPV have a guest with Debian's kernel use a vif of ours, by
// each toolstack.
func TestLabPVH(t *testing.T) {
	xentest.NeedXen(t)
	dom0.InCoverOn(t, "4.17")
	_, genuine := dom0.Toolstacks(t)
	serveGuest(t, genuine, "pvh")
}

func TestLabPV(t *testing.T) {
	xentest.NeedXen(t)
	dom0.InCoverOn(t, "4.17")
	ours, _ := dom0.Toolstacks(t)
	serveGuest(t, ours, "pv")
}

func serveGuest(t *testing.T, x dom0.Tool, kind string) {
	keepKernelOut(t)
	same := dom0.Leftovers(t)
	d := startDaemon(t)
	_, genuine := dom0.Toolstacks(t)
	name := "net-" + kind
	cfg := writeConfig(t, name, kind)
	t.Cleanup(func() { x.Run(t, dom0.Patience, "destroy", name) })
	x.Must(t, "create", cfg)
	id := strings.TrimSpace(genuine.Must(t, "domid", name))
	c := openConsole(t, id)
	c.until("goxl-guest ready", dom0.Patience)
	connected := regexp.MustCompile(`(?m)^0\s+0\s+\S+\s+\d+\s+4\s`)
	eventually(t, "vif 0 to be connected", func() bool { return connected.MatchString(genuine.Must(t, "network-list", name)) })
	if out := dom0.Sh(t, "ip -d link show vif"+id+".0"); !strings.Contains(out, "tun type tap") || !strings.Contains(out, "master xenbr0") {
		t.Errorf("the interface is not our tap on the bridge:\n%s", out)
	}
	if out := c.run("ping -c 3 -s 1400 " + hostIP); !strings.Contains(out, " 0% packet loss") {
		t.Errorf("ping: %s", out)
	}
	captureSome(t, name)
	fromGuest(t, c, nil)
	toGuest(t, c, nil)

	// Killed in the middle: the guest's connections go on.
	fromGuest(t, c, func() { d.kill(); d = startDaemon(t) })
	toGuest(t, c, func() { d.kill(); d = startDaemon(t) })

	genuine.Must(t, "network-attach", name, "bridge=xenbr0", "mac=00:16:3e:01:02:03")
	second := regexp.MustCompile(`(?m)^1\s+0\s+\S+\s+\d+\s+4\s`)
	eventually(t, "vif 1 to be connected", func() bool { return second.MatchString(genuine.Must(t, "network-list", name)) })
	genuine.Must(t, "network-detach", name, "1")
	if out := genuine.Must(t, "network-list", name); strings.Contains(out, "00:16:3e:01:02:03") {
		t.Errorf("network-detach left the vif in network-list:\n%s", out)
	}
	eventually(t, "the interface of vif 1 to go", func() bool {
		_, err := os.Stat("/sys/class/net/vif" + id + ".1")
		return err != nil
	})
	if out := c.run("ping -c 2 " + hostIP); !strings.Contains(out, " 0% packet loss") {
		t.Errorf("ping after network-detach: %s", out)
	}

	x.Must(t, "destroy", name)
	same()
	sweepLeavesNothing(t)
	if left, _ := filepath.Glob(stateDir + "/*-*"); len(left) > 0 {
		t.Errorf("the daemon keeps %v", left)
	}
	d.stop()
}

// captureSome records some frames with our xl, whose terminal nobody is at.
func captureSome(t *testing.T, name string) {
	t.Helper()
	ours, _ := dom0.Toolstacks(t)
	file := filepath.Join(t.TempDir(), "frames.pcapng")
	done := make(chan dom0.Result, 1)
	go func() {
		r, err := ours.Try(context.Background(), dom0.Patience, "vif-capture", "-c", "3", "-w", file, name, "0")
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	for waiting := true; waiting; { // something passes until it has enough
		conn, err := net.Dial("udp", guestIP+":9")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "captured text")
		conn.Close()
		select {
		case r := <-done:
			waiting = false
			if r.Code != 0 || r.Stderr != "3 frames\n" {
				t.Errorf("vif-capture: %+v", r)
			}
		case <-time.After(200 * time.Millisecond):
		}
	}
	if b, err := os.ReadFile(file); err != nil || !bytes.Contains(b, []byte("captured text")) {
		t.Errorf("the capture of %d bytes is not what passed: %v", len(b), err)
	}
}

// sweepLeavesNothing holds that no interface of ours is left, under any name.
func sweepLeavesNothing(t *testing.T) {
	t.Helper()
	if out := dom0.Sh(t, "ip link show"); strings.Contains(out, "goxl netback") {
		t.Errorf("an interface is left:\n%s", out)
	}
}

// keepKernelOut unloads the kernel's backend for this test; before that it sees our
// daemon refuse to start beside it.
func keepKernelOut(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(kernelVif); err == nil {
		out, err := daemonCommand(t).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "modprobe -r xen-netback") {
			t.Errorf("beside the kernel's backend: %v, %s", err, out)
		}
	}
	dom0.Sh(t, "modprobe -r xen-netback; modprobe tun")
	t.Cleanup(func() {
		if out, err := exec.Command("modprobe", "xen-netback").CombinedOutput(); err != nil {
			t.Errorf("modprobe xen-netback: %v %s", err, out)
		}
	})
}

// daemon is a running netback.
type daemon struct {
	t   *testing.T
	cmd *exec.Cmd
	log *os.File
}

func daemonCommand(t *testing.T) *exec.Cmd {
	return exec.Command(filepath.Join(dom0.Getenv(t, "GOXL_BIN"), "netback"), "--state-dir", stateDir)
}

func startDaemon(t *testing.T) *daemon {
	t.Helper()
	log, err := os.CreateTemp("", "netback-")
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, cmd: daemonCommand(t), log: log}
	d.cmd.Stderr = log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		d.kill()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the daemon said:\n%s", text)
		}
		log.Close()
		os.Remove(log.Name())
	})
	return d
}

// kill kills the daemon as nothing can be handled.
func (d *daemon) kill() {
	if d.cmd.ProcessState == nil {
		_ = d.cmd.Process.Kill()
		_ = d.cmd.Wait()
	}
}

// stop ends the daemon in peace.
func (d *daemon) stop() {
	d.t.Helper()
	if err := d.cmd.Process.Signal(unix.SIGTERM); err != nil {
		d.t.Error(err)
	}
	if err := d.cmd.Wait(); err != nil {
		d.t.Errorf("the daemon ended with %v", err)
	}
}

func writeConfig(t *testing.T, name, kind string) string {
	t.Helper()
	from := dom0.Getenv(t, "GOXL_GUEST")
	text := fmt.Sprintf("name = %q\ntype = %q\nkernel = %q\nramdisk = %q\nextra = \"console=hvc0 goxl.ip=%s/24\"\nmemory = 192\nvcpus = 1\nvif = [ \"bridge=xenbr0\" ]\n",
		name, kind, from+"/vmlinuz", from+"/initrd.img", guestIP)
	path := filepath.Join(t.TempDir(), name+".cfg")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// console is the guest's shell.
type console struct {
	t *testing.T
	f *os.File
	n int
}

func openConsole(t *testing.T, id string) *console {
	t.Helper()
	tty := strings.TrimSpace(dom0.Sh(t, "xenstore-read /local/domain/"+id+"/console/tty"))
	f, err := os.OpenFile(tty, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &console{t: t, f: f}
}

// until reads until the text was said.
func (c *console) until(text string, limit time.Duration) string {
	c.t.Helper()
	if err := c.f.SetReadDeadline(time.Now().Add(limit)); err != nil {
		c.t.Fatal(err)
	}
	var all bytes.Buffer
	b := make([]byte, 4096)
	for !strings.Contains(all.String(), text) {
		n, err := c.f.Read(b)
		all.Write(b[:n])
		if err != nil {
			c.t.Fatalf("no %q on the console: %v\n%s", text, err, all.String())
		}
	}
	return all.String()
}

// start types a command, whose end finish waits for.
func (c *console) start(command string) {
	c.t.Helper()
	c.n++
	if _, err := fmt.Fprintf(c.f, "%s; echo en''d-%d\n", command, c.n); err != nil {
		c.t.Fatal(err)
	}
}

func (c *console) finish() string {
	c.t.Helper()
	return c.until(fmt.Sprintf("end-%d", c.n), dom0.Patience)
}

func (c *console) run(command string) string {
	c.t.Helper()
	c.start(command)
	return c.finish()
}

var sum256 = regexp.MustCompile(`[0-9a-f]{64}`)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", hostIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// fromGuest has the guest send a file over TCP and compares checksums. In the middle
// something may happen.
func fromGuest(t *testing.T, c *console, middle func()) {
	t.Helper()
	l := listen(t)
	want := sum256.FindString(c.run(fmt.Sprintf("head -c %d /dev/urandom >/tmp/f; sha256sum /tmp/f", transfer)))
	c.start(fmt.Sprintf("nc %s %d </tmp/f", hostIP, port(l)))
	conn := accept(t, l)
	defer conn.Close()
	h := sha256.New()
	n, err := io.CopyN(h, conn, transfer/2)
	if middle != nil && err == nil {
		middle()
	}
	rest, err2 := io.CopyN(h, conn, transfer-transfer/2)
	if got := fmt.Sprintf("%x", h.Sum(nil)); err != nil || err2 != nil || got != want {
		t.Errorf("%d bytes from the guest, %v, %v: checksum %s, want %s", n+rest, err, err2, got, want)
	}
	conn.Close()
	c.finish()
}

// toGuest is fromGuest the other way round.
func toGuest(t *testing.T, c *console, middle func()) {
	t.Helper()
	l := listen(t)
	c.start(fmt.Sprintf("nc %s %d </dev/null | sha256sum", hostIP, port(l)))
	conn := accept(t, l)
	defer conn.Close()
	data := make([]byte, transfer)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	_, err := conn.Write(data[:transfer/2])
	if middle != nil && err == nil {
		middle()
	}
	_, err2 := conn.Write(data[transfer/2:])
	if err != nil || err2 != nil {
		t.Errorf("to the guest: %v, %v", err, err2)
	}
	conn.Close()
	if got, want := sum256.FindString(c.finish()), fmt.Sprintf("%x", sha256.Sum256(data)); got != want {
		t.Errorf("the guest's checksum is %s, want %s", got, want)
	}
}

func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(dom0.Patience)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(dom0.Patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), dom0.Patience)
	defer cancel()
	for !f() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		case <-time.After(500 * time.Millisecond):
		}
	}
}
