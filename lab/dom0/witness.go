package dom0

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// HostIP is dom0's address on the guests' bridge.
const HostIP = "10.77.0.1"

// witnessChunk is how many bytes a Witness writes and sends in a round.
const witnessChunk = 128 << 10

// witnessScript is what the guest runs, from a disk of the kernel's: it writes to its
// disk, reads that back past its cache, has it echoed over the network, and compares.
const witnessScript = `
n=0
while :; do
  n=$((n+1))
  dd if=/dev/urandom of=/tmp/d bs=64k count=2 2>/dev/null
  want=$(sha256sum </tmp/d)
  at=$((n %% 24 * 4))
  dd if=/tmp/d of=/dev/xvda bs=64k seek=$at conv=fsync 2>/tmp/e || { echo "round $n BAD write"; cat /tmp/e; }
  echo 3 >/proc/sys/vm/drop_caches
  got=$(dd if=/dev/xvda bs=64k skip=$at count=2 2>/dev/null | sha256sum)
  [ "$got" = "$want" ] || echo "round $n BAD disk: $got, want $want"
  got=$(nc %s %d </tmp/d | sha256sum)
  [ "$got" = "$want" ] || echo "round $n BAD network: $got, want $want"
  echo "round $n over"
  sleep %s
done
exit
`

// Witness is a guest of Debian's kernel that uses its disk and its network all the
// time and says so on its console, round by round. A round that goes wrong fails the
// test.
type Witness struct {
	ID     string
	Lines  <-chan string // of the console; those that Await does not take are for Note
	Rounds int           // that are over

	t *testing.T
}

// NewWitness makes the guest with our xl. Its files are in dir; its image is qcow2.
// Between two rounds it rests a while: its work takes much of the emulator's time.
func NewWitness(t *testing.T, dir, name, ip string, rest time.Duration) *Witness {
	t.Helper()
	ours, genuine := Toolstacks(t)
	from := Getenv(t, "GOXL_GUEST")
	image, run, cfg := filepath.Join(dir, name+".qcow2"), filepath.Join(dir, name+".img"), filepath.Join(dir, name+".cfg")
	Sh(t, "qemu-img create -q -f qcow2 "+image+" 8M")
	script := fmt.Sprintf(witnessScript, HostIP, echo(t), strconv.FormatFloat(rest.Seconds(), 'f', 2, 64))
	if err := os.WriteFile(run, append([]byte(script), make([]byte, 1<<20-len(script))...), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("name=%q\ntype=\"pvh\"\nkernel=%q\nramdisk=%q\nmemory=192\nvcpus=1\nvif=[\"bridge=xenbr0\"]\n"+
		"extra=\"console=hvc0 goxl.quiet goxl.ip=%s/24 goxl.run=/dev/xvdc\"\ndisk=[\"%s,qcow2,xvda,rw\", \"%s,raw,xvdc,ro\"]\n",
		name, from+"/vmlinuz", from+"/initrd.img", ip, image, run)
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { genuine.Run(t, Patience, "destroy", name) })
	ours.Must(t, "create", "-q", cfg)
	w := &Witness{ID: strings.TrimSpace(genuine.Must(t, "domid", name)), t: t}
	w.Lines = ConsoleLines(t, w.ID)
	return w
}

// Note takes note of a line.
func (w *Witness) Note(s string) {
	if strings.Contains(s, "BAD") || strings.Contains(s, "I/O error") {
		w.t.Errorf("domain %s says %q", w.ID, s)
	}
	if strings.HasPrefix(s, "round ") && strings.HasSuffix(s, " over") {
		w.Rounds++
	}
}

// Await waits until n rounds more are over.
func (w *Witness) Await(n int) {
	w.t.Helper()
	timeout := time.After(Patience)
	for want := w.Rounds + n; w.Rounds < want; {
		select {
		case s, ok := <-w.Lines:
			if !ok {
				w.t.Fatalf("the console of domain %s ended", w.ID)
			}
			w.Note(s)
		case <-timeout:
			w.t.Fatalf("domain %s does not go on after %d rounds", w.ID, w.Rounds)
		}
	}
}

// ConsoleLines sends the lines of a guest's console to a channel, until the guest
// ends or the test does. A console that gets another daemon is followed.
func ConsoleLines(t *testing.T, id string) <-chan string {
	t.Helper()
	f := openConsole(t, id)
	lines := make(chan string, 1<<14)
	ctx := t.Context()
	go func() {
		defer close(lines)
		for f != nil {
			stop := make(chan struct{})
			go func() {
				select {
				case <-ctx.Done():
				case <-stop:
				}
				f.Close()
			}()
			for s := bufio.NewScanner(f); s.Scan(); {
				select {
				case lines <- strings.TrimSpace(s.Text()):
				case <-ctx.Done():
				}
			}
			close(stop)
			if ctx.Err() != nil {
				return
			}
			f = reopenConsole(id, f.Name())
		}
	}()
	return lines
}

func consoleTTY(id string) string {
	out, err := exec.Command("xenstore-read", "/local/domain/"+id+"/console/tty").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func openTTY(tty string) (*os.File, error) {
	return os.OpenFile(tty, os.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
}

func openConsole(t *testing.T, id string) *os.File {
	t.Helper()
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if tty := consoleTTY(id); tty != "" {
			f, err := openTTY(tty)
			if err != nil {
				t.Fatal(err)
			}
			return f
		}
	}
	t.Fatalf("domain %s has no console", id)
	return nil
}

// reopenConsole opens the console that the next daemon gives a guest, or returns nil
// when the guest is gone. A terminal's name may be the old one again.
func reopenConsole(id, old string) *os.File {
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		tty := consoleTTY(id)
		if tty == "" {
			return nil
		}
		if f, err := openTTY(tty); err == nil {
			return f
		}
	}
	return nil
}

// echo sends back what a Witness sends, a chunk for each connection.
func echo(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", HostIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b := make([]byte, witnessChunk)
				if _, err := io.ReadFull(c, b); err == nil {
					_, _ = c.Write(b)
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}
