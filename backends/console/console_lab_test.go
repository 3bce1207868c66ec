package console_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"goxl/backends/console"
	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// pidFile is the genuine daemon's, and ours while it takes its place.
const pidFile = "/var/run/xen/xenconsoled.pid"

// Every daemon that the tests start keeps its logs somewhere else.
func genuineDaemon(t *testing.T) string {
	t.Helper()
	return filepath.Join(filepath.Dir(dom0.Getenv(t, "GENUINE_XL")), "xenconsoled")
}

func ourDaemon(t *testing.T) string {
	t.Helper()
	return filepath.Join(dom0.Getenv(t, "GOXL_BIN"), "consoled")
}

// daemonPID returns the process that serves consoles in the background.
func daemonPID(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// end sends a daemon a signal and waits until it is gone. What it held is free then.
func end(t *testing.T, pid int, sig unix.Signal) {
	t.Helper()
	if err := unix.Kill(pid, sig); err != nil {
		t.Fatalf("end daemon %d: %v", pid, err)
	}
	await(t, fmt.Sprintf("daemon %d to be gone", pid), func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || bytes.Contains(b, []byte(") Z "))
	})
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(dom0.Patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", dom0.Patience, what)
		}
	}
}

// background starts a daemon as an init script does.
func background(t *testing.T, program string, args ...string) {
	t.Helper()
	cmd := exec.Command(program, append(args, "--pid-file="+pidFile)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, out)
	}
	await(t, program, func() bool {
		b, err := os.ReadFile(pidFile)
		if err != nil {
			return false
		}
		comm, err := os.ReadFile("/proc/" + strings.TrimSpace(string(b)) + "/comm")
		return err == nil && strings.TrimSpace(string(comm)) == filepath.Base(program)
	})
}

// takeTurns stops the genuine daemon for the test. Afterwards it runs as before,
// whatever the test left.
func takeTurns(t *testing.T, sig unix.Signal) {
	t.Helper()
	end(t, daemonPID(t), sig)
	t.Cleanup(func() {
		exec.Command("pkill", "-x", "consoled").Run() // of this test's host; there may be none
		exec.Command("pkill", "-x", "xenconsoled").Run()
		time.Sleep(200 * time.Millisecond)
		os.Remove(pidFile)
		background(t, genuineDaemon(t), "--log=none")
	})
}

// person sits at a terminal with "xl console" and types.
type person struct {
	cmd *exec.Cmd
	tty *os.File

	mu   sync.Mutex
	said []byte
}

func sit(t *testing.T, x dom0.Tool, guest string, args ...string) *person {
	t.Helper()
	p := &person{cmd: exec.Command(x.Path, append(append([]string{"console"}, args...), guest)...)}
	tty, err := pty.Start(p.cmd)
	if err != nil {
		t.Fatal(err)
	}
	p.tty = tty
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := tty.Read(buf)
			p.mu.Lock()
			p.said = append(p.said, buf[:n]...)
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		<-done
		tty.Close()
	})
	return p
}

func (p *person) types(t *testing.T, text string) {
	t.Helper()
	if _, err := p.tty.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// sees waits until the terminal has shown n matches of pattern since the last call.
func (p *person) sees(t *testing.T, n int, pattern string) {
	t.Helper()
	want := regexp.MustCompile(pattern)
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		p.mu.Lock()
		at := want.FindAllIndex(p.said, n)
		if len(at) >= n {
			p.said = p.said[at[n-1][1]:]
			p.mu.Unlock()
			return
		}
		shown := string(p.said)
		p.mu.Unlock()
		if time.Now().After(end) {
			t.Fatalf("saw %d of %d %q; the terminal shows\n%s", len(at), n, pattern, shown)
		}
	}
}

// asks types text every second until the answer is there: what is typed while a
// client changes over is lost.
func (p *person) asks(t *testing.T, text, answer string) {
	t.Helper()
	want := regexp.MustCompile(answer)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		p.types(t, text)
		time.Sleep(time.Second)
		p.mu.Lock()
		ok := want.Match(p.said)
		p.mu.Unlock()
		if ok {
			return
		}
	}
	t.Fatalf("no %q for a minute; the terminal shows\n%s", answer, p.said)
}

// leaves types the escape character and waits for the end.
func (p *person) leaves(t *testing.T) {
	t.Helper()
	p.types(t, "\x1d")
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("xl console: %v", err)
	}
}

func mini(t *testing.T, x, clear dom0.Tool, name, kind string) {
	t.Helper()
	cfg := filepath.Join(t.TempDir(), name+".cfg")
	m := dom0.Mini{Name: name, Kind: kind, MiB: 16, VCPUs: 1, Options: "mini.dirty=0"}
	m.Write(t, cfg)
	t.Cleanup(func() { clear.Run(t, dom0.Patience, "destroy", name) }) // it may be gone
	x.Must(t, "create", cfg)
}

const (
	ready = `goxl-guest ready: mini pvh?, 1 vcpus`
	hint  = `goxl-guest: commands are`
)

// TestLabTakesOver has our daemon come after the genuine one was killed, under guests
// of both tools, be killed itself in the midst of output, and give way to the genuine
// one again. Both clients are at the consoles all the time.
func TestLabTakesOver(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	t.Cleanup(dom0.Leftovers(t))
	logs := t.TempDir()
	mini(t, genuine, genuine, "old-pv", "pv") // made while the genuine daemon serves
	await(t, "its console", func() bool { return tty(t, genuine, "old-pv") != "" })
	takeTurns(t, unix.SIGKILL)
	background(t, ourDaemon(t), "--log=guest", "--log-dir="+logs)
	mini(t, ours, genuine, "new-pvh", "pvh")

	atOld, atNew := sit(t, genuine, "old-pv"), sit(t, ours, "new-pvh")
	atNew.sees(t, 1, ready)
	atOld.types(t, "help\n")
	atOld.sees(t, 1, hint)
	const lines = 300
	atNew.types(t, strings.Repeat("stats\n", lines))
	atNew.sees(t, lines/3, `stats: uptime`)
	end(t, daemonPID(t), unix.SIGKILL)
	time.Sleep(300 * time.Millisecond) // the guest goes on printing
	background(t, ourDaemon(t), "--log=guest", "--log-dir="+logs)
	for _, p := range []*person{atNew, atOld} { // both clients find the new terminal
		p.asks(t, "help\n", hint)
	}

	log := filepath.Join(logs, "guest-new-pvh.log")
	await(t, "the log", func() bool { b, _ := os.ReadFile(log); return bytes.Contains(b, []byte(hint)) })
	shown := console.TailSize
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if n := uptimes(t, b); n < lines/3 {
		t.Errorf("%d lines in the log", n)
	}
	kept := ours.Must(t, "console", "--log", "new-pvh")
	if want := string(b[max(0, len(b)-shown):]); kept != want {
		t.Errorf("kept are %d bytes, the log ends in %d others", len(kept), len(want))
	}
	atOld.leaves(t)
	atNew.leaves(t)

	genuine.Must(t, "destroy", "new-pvh")
	if after := ours.Must(t, "console", "--log", "new-pvh"); after != kept {
		t.Errorf("after the guest's end %d bytes are kept, before %d", len(after), len(kept))
	}
	end(t, daemonPID(t), unix.SIGTERM)
	background(t, genuineDaemon(t), "--log=none")
	atOld = sit(t, ours, "old-pv")
	atOld.types(t, "help\n")
	atOld.sees(t, 1, hint)
	atOld.leaves(t)
}

// uptimes checks that the guest's lines are whole and come in order, each once, and
// returns how many there are.
func uptimes(t *testing.T, log []byte) int {
	t.Helper()
	n, last := 0, -1
	for line := range strings.Lines(string(log)) {
		rest, ok := strings.CutPrefix(line, "stats: uptime ")
		if !ok {
			continue
		}
		var ms, wakes int
		if _, err := fmt.Sscanf(rest, "%d ms", &ms); err != nil || !strings.HasSuffix(line, " rewritten\r\n") {
			t.Errorf("line %q", line)
		}
		if _, after, ok := strings.Cut(rest, "wall clock "); !ok {
			t.Errorf("line %q", line)
		} else if _, err := fmt.Sscanf(after, "%d ms, %d wakes", &ms, &wakes); err != nil || wakes < last {
			t.Errorf("after %d wakes: line %q", last, line)
		}
		last = wakes
		n++
	}
	return n
}

func tty(t *testing.T, x dom0.Tool, name string) string {
	t.Helper()
	id := strings.TrimSpace(x.Must(t, "domid", name))
	out, err := exec.Command("xenstore-read", "/local/domain/"+id+"/console/tty").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// TestLabLogsAreEqual compares the log of the same guest by both daemons, plain and
// with timestamps, and the hypervisor's.
func TestLabLogsAreEqual(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	t.Cleanup(dom0.Leftovers(t))
	takeTurns(t, unix.SIGTERM)
	for name, args := range map[string][]string{
		"plain":      {"--log=all"},
		"timestamps": {"--log=guest", "--timestamp=all", "--replace-escape"},
	} {
		t.Run(name, func(t *testing.T) {
			var guest, xen [2]string
			for i, program := range []string{genuineDaemon(t), ourDaemon(t)} {
				dir := t.TempDir()
				background(t, program, append(args, "--log-dir="+dir)...)
				guest[i], xen[i] = logsOf(t, ours, genuine, dir)
				end(t, daemonPID(t), unix.SIGTERM)
				os.Remove(pidFile)
			}
			if guest[0] != guest[1] {
				t.Errorf("the genuine log is\n%s\nours is\n%s", guest[0], guest[1])
			}
			if !strings.HasPrefix(xen[1], xen[0][:min(len(xen[0]), 4000)]) {
				t.Errorf("the genuine hypervisor.log has %d bytes, ours %d that differ", len(xen[0]), len(xen[1]))
			}
			t.Logf("%d bytes of the guest, %d and %d of Xen", len(guest[0]), len(xen[0]), len(xen[1]))
		})
	}
}

var digits = regexp.MustCompile(`\d+`)

// logsOf runs a guest through its life and returns its log and Xen's, without numbers.
func logsOf(t *testing.T, ours, genuine dom0.Tool, dir string) (guest, xen string) {
	t.Helper()
	mini(t, ours, genuine, "talker", "pv")
	at := sit(t, genuine, "talker")
	at.sees(t, 1, ready)
	for range 20 {
		at.types(t, "check\nhelp\n\x1b[1m\n")
		at.sees(t, 2, hint)
	}
	at.leaves(t)
	genuine.Must(t, "destroy", "talker")
	b, err := os.ReadFile(filepath.Join(dir, "guest-talker.log"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := os.ReadFile(filepath.Join(dir, "hypervisor.log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return digits.ReplaceAllString(string(b), "N"), digits.ReplaceAllString(string(x), "N")
}

// TestLabNarrow runs the daemon as its unit does: without any capability, in the
// foreground, telling systemd when it is ready. It also follows a rename and SIGHUP.
func TestLabNarrow(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	t.Cleanup(dom0.Leftovers(t))
	takeTurns(t, unix.SIGTERM)
	dir := t.TempDir()
	socket := filepath.Join(dir, "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, "setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs",
		ourDaemon(t), "-i", "-v", "--log=guest", "--log-dir="+dir, "--max-log=2K", "--keep-logs=2")
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+socket)
	var said bytes.Buffer
	cmd.Stderr = &said
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	l.SetReadDeadline(time.Now().Add(dom0.Patience))
	if n, err := l.Read(b); err != nil || string(b[:n]) != "READY=1" {
		t.Fatalf("systemd was told %q, %v", b[:n], err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
	if err != nil || !bytes.Contains(status, []byte("CapEff:\t0000000000000000")) {
		t.Errorf("it has capabilities: %v\n%s", err, status)
	}
	mini(t, ours, genuine, "narrow", "pvh")
	at := sit(t, ours, "narrow")
	at.sees(t, 1, ready)
	genuine.Must(t, "rename", "narrow", "wide")
	t.Cleanup(func() { genuine.Run(t, dom0.Patience, "destroy", "wide") })
	log := filepath.Join(dir, "guest-wide.log")
	await(t, "the log under the new name", func() bool { _, err := os.Stat(log); return err == nil })
	if err := os.Rename(log, log+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(unix.SIGHUP); err != nil {
		t.Fatal(err)
	}
	await(t, "the log after SIGHUP", func() bool { _, err := os.Stat(log); return err == nil })
	at.types(t, strings.Repeat("help\n", 60))
	at.sees(t, 60, hint)
	for _, name := range []string{log, log + ".1", log + ".2"} {
		var info os.FileInfo
		await(t, name, func() (ok bool) { // the end of the last line may rotate once more
			info, err = os.Stat(name)
			return err == nil
		})
		if info.Size() > 2048+2048 {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
	}
	if _, err := os.Stat(log + ".3"); !os.IsNotExist(err) {
		t.Errorf("a third old log: %v", err)
	}
	at.leaves(t)
	genuine.Must(t, "destroy", "wide")
	cancel()
	if err := cmd.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("the daemon: %v\n%s", err, said.String())
	}
	t.Logf("the daemon said:\n%s", said.String())
}
