package console_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// channelScript answers on both channels, which the guest has as terminals behind that
// of its console.
const channelScript = `
for d in hvc1 hvc2; do
  (stty -F /dev/$d raw -echo 2>/dev/null || stty raw -echo </dev/$d
   while read -r line; do echo "$line is heard"; done </dev/$d >/dev/$d) &
done
echo "the channels are open"
wait
`

// TestLabChannels has a guest with Debian's kernel talk over a channel that ends in a
// terminal and one that ends in a socket, without a QEMU, while the daemon is killed.
// The genuine tool lists and destroys it.
func TestLabChannels(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	t.Cleanup(dom0.Leftovers(t))
	takeTurns(t, unix.SIGTERM)
	background(t, ourDaemon(t), "--log=none")
	dir, err := os.MkdirTemp("/run", "channels-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "b")
	ours.Must(t, "create", "-q", channelConfig(t, dir, socket))
	t.Cleanup(func() { genuine.Run(t, dom0.Patience, "destroy", "channels") })
	if out, err := exec.Command("pgrep", "-a", "qemu").Output(); err == nil {
		t.Errorf("a QEMU runs:\n%s", out)
	}
	atConsole := sit(t, ours, "channels")
	atConsole.sees(t, 1, "the channels are open")
	list := genuine.Must(t, "channel-list", "channels")
	for _, want := range []string{" pty ", "/dev/pts/", " socket "} {
		if !strings.Contains(list, want) {
			t.Errorf("the genuine channel-list lacks %s:\n%s", want, list)
		}
	}
	if own := ours.Must(t, "channel-list", "channels"); own != list {
		t.Errorf("channel-list by ours:\n%s\nby the genuine tool:\n%s", own, list)
	}
	for _, word := range []string{"one", "two"} {
		talk(t, "the terminal", word, openChannel(t, func() (io.ReadWriteCloser, error) {
			return os.OpenFile(channelTTY(t, ours), os.O_RDWR|unix.O_NOCTTY, 0)
		}))
		talk(t, "the socket", word, openChannel(t, func() (io.ReadWriteCloser, error) { return net.Dial("unix", socket) }))
		if word == "one" {
			end(t, daemonPID(t), unix.SIGKILL)
			background(t, ourDaemon(t), "--log=none")
		}
	}
	genuine.Must(t, "destroy", "channels")
	await(t, "the socket to go", func() bool { _, err := os.Lstat(socket); return err != nil })
	end(t, daemonPID(t), unix.SIGTERM)
}

func channelConfig(t *testing.T, dir, socket string) string {
	t.Helper()
	guest := dom0.Getenv(t, "GOXL_GUEST")
	run, cfg := filepath.Join(dir, "run.img"), filepath.Join(dir, "channels.cfg")
	text := fmt.Sprintf(`name="channels"
type="pvh"
kernel=%q
ramdisk=%q
memory=192
extra="console=hvc0 goxl.quiet goxl.run=/dev/xvda"
disk=["%s,raw,xvda,ro"]
channel=["name=org.example.a,connection=pty", "name=org.example.b,connection=socket,path=%s"]
`, guest+"/vmlinuz", guest+"/initrd.img", run, socket)
	for path, data := range map[string]string{run: channelScript + strings.Repeat("\x00", 1<<20-len(channelScript)), cfg: text} {
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cfg
}

// openChannel opens a channel, also where the next daemon has to make it first.
func openChannel(t *testing.T, open func() (io.ReadWriteCloser, error)) (c io.ReadWriteCloser) {
	t.Helper()
	await(t, "the channel", func() bool {
		var err error
		c, err = open()
		return err == nil
	})
	t.Cleanup(func() { c.Close() })
	return c
}

// talk says a word until the guest has heard it: what is on its way when the daemon is
// killed may be lost.
func talk(t *testing.T, where, word string, c io.ReadWriteCloser) {
	t.Helper()
	heard := make(chan bool, 1)
	go func() {
		for s := bufio.NewScanner(c); s.Scan(); {
			if strings.Contains(s.Text(), word+" is heard") {
				heard <- true
				return
			}
		}
	}()
	for end := time.Now().Add(dom0.Patience); time.Now().Before(end); {
		if _, err := io.WriteString(c, word+"\n"); err != nil {
			t.Fatalf("say %q at %s: %v", word, where, err)
		}
		select {
		case <-heard:
			c.Close()
			return
		case <-time.After(2 * time.Second):
		}
	}
	t.Fatalf("the guest does not hear %q at %s", word, where)
}

// channelTTY is the terminal of the first channel, as it is now.
func channelTTY(t *testing.T, x dom0.Tool) string {
	t.Helper()
	id := strings.TrimSpace(x.Must(t, "domid", "channels"))
	out, err := exec.Command("xenstore-read", "/local/domain/"+id+"/device/console/1/tty").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
