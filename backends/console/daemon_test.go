package console

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
	"goxl/xenstore/server"
)

// world is a host with a store and, from time to time, a daemon.
type world struct {
	t     *testing.T
	srv   *server.Server
	store *xenstore.Client
	host  *fakeHost
	opt   Options
	limit string // of consoles that are made
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, limit: "1048576", srv: server.New(server.Options{}), host: newFakeHost(t)}
	t.Cleanup(func() { w.srv.Close() })
	w.store = w.dial()
	dir := t.TempDir()
	w.opt = Options{LogDir: dir, GuestLogs: true, TailDir: filepath.Join(dir, "kept")}
	return w
}

func (w *world) dial() *xenstore.Client {
	w.t.Helper()
	c, err := xenstore.Dial(w.t.Context(), xenstore.WithConn(w.srv.Pipe(0)))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

// start runs a daemon until stop is called, or the test ends.
func (w *world) start() (d *Daemon, stop func()) {
	w.t.Helper()
	d = New(w.dial(), w.host, w.opt)
	d.now = fixedNow
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- d.Run(ctx, func() { close(ready) }) }()
	stopped := false
	stop = func() {
		cancel()
		if stopped {
			return
		}
		stopped = true
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
	w.t.Cleanup(stop)
	select {
	case <-ready:
	case err := <-done:
		done <- err
		w.t.Fatalf("the daemon ended: %v", err)
	}
	return d, stop
}

func (w *world) write(path, value string) {
	w.t.Helper()
	if err := w.store.Write(w.t.Context(), path, value); err != nil {
		w.t.Fatal(err)
	}
}

// boot makes a domain as a toolstack does.
func (w *world) boot(id abi.DomID, name string) *fakeGuest {
	w.t.Helper()
	g := w.host.add(id)
	dir := domainPath(id)
	w.write(dir+"/name", name)
	w.write(dir+"/console/type", "xenconsoled")
	w.write(dir+"/console/limit", w.limit)
	w.write(dir+"/console/ring-ref", g.ref)
	w.write(dir+"/console/port", fmt.Sprint(g.port))
	if err := w.store.Introduce(w.t.Context(), id, 5, 1); err != nil {
		w.t.Fatal(err)
	}
	return g
}

// die ends a domain.
func (w *world) die(g *fakeGuest) {
	w.t.Helper()
	w.host.mu.Lock()
	g.info.Flags |= abi.InfoDying
	w.host.mu.Unlock()
	w.srv.Destroy(g.id)
	if err := w.store.Rm(w.t.Context(), domainPath(g.id)); err != nil {
		w.t.Fatal(err)
	}
}

// tty waits for the terminal of a domain.
func (w *world) tty(g *fakeGuest) string {
	w.t.Helper()
	tty, err := w.store.Await(w.t.Context(), domainPath(g.id)+"/console/tty", func(v string, ok bool) bool { return v != "" })
	if err != nil {
		w.t.Fatal(err)
	}
	return tty
}

// watcher is somebody at a console.
type watcher struct {
	*os.File
	seen []byte
}

func (w *world) look(tty string) *watcher {
	w.t.Helper()
	f, err := os.OpenFile(tty, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { f.Close() })
	return &watcher{File: f}
}

// sees reads until want was shown.
func (x *watcher) sees(t *testing.T, want string) {
	t.Helper()
	x.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, 65536)
	for !bytes.Contains(x.seen, []byte(want)) {
		n, err := x.Read(buf)
		x.seen = append(x.seen, buf[:n]...)
		if err != nil {
			t.Fatalf("want %q, saw %d bytes that end in %q: %v", want, len(x.seen), x.seen[max(0, len(x.seen)-100):], err)
		}
	}
}

func (w *world) logged(name, want string) {
	w.t.Helper()
	path := filepath.Join(w.opt.LogDir, name)
	eventually(w.t, fmt.Sprintf("%q in %s", want, name), func() bool {
		b, _ := os.ReadFile(path)
		return bytes.Contains(b, []byte(want))
	})
}

func TestConsoleBothWays(t *testing.T) {
	w := newWorld(t)
	old := w.boot(3, "before") // there before the daemon
	w.start()
	young := w.boot(4, "after")
	for _, g := range []*fakeGuest{old, young} {
		c := w.look(w.tty(g))
		g.says(t, fmt.Sprintf("hello from %d\r\n", g.id))
		c.sees(t, fmt.Sprintf("hello from %d\r\n", g.id))
		if _, err := c.WriteString("typed\r"); err != nil {
			t.Fatal(err)
		}
		g.hears(t, "typed\r")
		if g.page[3088] != 0 {
			t.Errorf("domain %d is not told that its console is connected", g.id)
		}
	}
	w.logged("guest-before.log", "hello from 3\r\n")
	w.logged("guest-after.log", "hello from 4\r\n")
	if bytes.Contains(w.look(w.tty(old)).seen, []byte("typed")) {
		t.Error("the terminal echoes")
	}
}

// TestMuchOutput: a flood arrives whole where it is read, also through a terminal
// that holds little, and in the log.
func TestMuchOutput(t *testing.T) {
	w := newWorld(t)
	g := w.boot(5, "flood")
	w.start()
	c := w.look(w.tty(g))
	var text strings.Builder
	for n := range 4000 {
		fmt.Fprintf(&text, "line %d of the flood\r\n", n)
	}
	go g.says(t, text.String()+"END")
	c.sees(t, "END")
	if got := string(c.seen); got != text.String()+"END" {
		t.Errorf("%d bytes shown, want %d", len(got), text.Len()+3)
	}
	w.logged("guest-flood.log", "END")
	if got := contents(t, filepath.Join(w.opt.LogDir, "guest-flood.log")); got != text.String()+"END" {
		t.Errorf("%d bytes logged, want %d", len(got), text.Len()+3)
	}
}

func TestMuchInput(t *testing.T) {
	w := newWorld(t)
	g := w.boot(5, "reader")
	w.start()
	c := w.look(w.tty(g))
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1000)
	go c.Write(sent)
	var got []byte
	eventually(t, "all input", func() bool {
		if b := g.read(300); len(b) > 0 {
			got = append(got, b...)
			g.notify()
		}
		return len(got) >= len(sent)
	})
	if !bytes.Equal(got, sent) {
		t.Error("the guest read something else than was typed")
	}
}

// TestDeath: what the guest printed last is in all places, a reader gets it, and
// everything is given back.
func TestDeath(t *testing.T) {
	w := newWorld(t)
	w.start()
	g := w.boot(6, "short")
	c := w.look(w.tty(g))
	g.says(t, "alive\n")
	c.sees(t, "alive\n")
	g.print([]byte("last words\n")) // no event
	w.die(g)
	c.sees(t, "last words\n")
	w.logged("guest-short.log", "alive\nlast words\n")
	eventually(t, "the end to be noted", func() bool {
		h, b, err := ReadTail(w.opt.TailDir, "short", 0)
		return err == nil && h.Ended.Equal(fixedNow()) && string(b) == "alive\nlast words\n"
	})
	w.host.remove(6)
	w.look(w.tty(w.boot(6, "short"))) // the same id, at once
}

// TestTakeover by a daemon that comes after one was killed at any moment: nothing
// that the guest printed is lost or comes twice.
func TestTakeover(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(w *world, g *fakeGuest) // a killed daemon left it so
		log    string                       // and this in the log
		shown  string
		logged string
	}{
		{"never served", func(w *world, g *fakeGuest) { g.print([]byte("one two")) }, "", "one two", "one two"},
		{"half taken by a genuine daemon", func(w *world, g *fakeGuest) {
			g.print([]byte("one two"))
			takeOutput(g.page, 4)
		}, "one ", "two", "one two"},
		{"kept and logged, but the guest was not told", func(w *world, g *fakeGuest) {
			g.print([]byte("one two"))
			w.keep(g, "one", 3, 3, 0)
		}, "one", " two", "one two"},
		{"kept, but not logged", func(w *world, g *fakeGuest) {
			g.print([]byte("one two"))
			w.keep(g, "one", 3, 3, 5)
		}, "zero ", " two", "zero one two"},
		{"kept, and not shown", func(w *world, g *fakeGuest) {
			g.print([]byte("one two"))
			w.keep(g, "zero one", 3, 5, 0)
		}, "zero one", "one two", "zero one two"},
		{"another daemon came between", func(w *world, g *fakeGuest) {
			g.print([]byte("one two three"))
			w.keep(g, "one", 3, 3, 0)
			takeOutput(g.page, 8)
		}, "one two ", "three", "one two three"},
		{"the same indices by chance", func(w *world, g *fakeGuest) {
			g.print([]byte("one two"))
			w.keep(g, "xyz", 3, 3, 0)
		}, "xyz", "one two", "xyzone two"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			g := w.boot(7, "left")
			tt.before(w, g)
			log := filepath.Join(w.opt.LogDir, "guest-left.log")
			if err := os.WriteFile(log, []byte(tt.log), 0o600); err != nil {
				t.Fatal(err)
			}
			w.start()
			c := w.look(w.tty(g))
			g.says(t, "|")
			c.sees(t, "|")
			if got := string(c.seen); got != tt.shown+"|" {
				t.Errorf("shown: %q, want %q", got, tt.shown+"|")
			}
			if got := contents(t, log); got != tt.logged+"|" {
				t.Errorf("logged: %q, want %q", got, tt.logged+"|")
			}
		})
	}
}

// keep leaves a tail as a daemon does that is killed when its log had so many bytes.
func (w *world) keep(g *fakeGuest, text string, next uint32, given uint64, logged int64) {
	w.t.Helper()
	t, _, err := openTail(w.opt.TailDir, "left", TailInfo{Dom: g.id, UUID: g.info.Handle, Boot: bootID()})
	if err != nil {
		w.t.Fatal(err)
	}
	defer t.Close()
	if err := t.Add([]byte(text), next, logged); err != nil {
		w.t.Fatal(err)
	}
	if err := t.Gave(given); err != nil {
		w.t.Fatal(err)
	}
}

// TestRestart: daemons come and go under a guest that prints all the time.
func TestRestart(t *testing.T) {
	w := newWorld(t)
	g := w.boot(8, "busy")
	stop := make(chan struct{})
	done := make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				done <- n
				return
			default:
				g.says(t, fmt.Sprintf("%d\n", n))
			}
		}
	}()
	for range 5 {
		_, end := w.start()
		time.Sleep(30 * time.Millisecond)
		end()
	}
	w.start()
	close(stop)
	n := <-done
	w.logged("guest-busy.log", fmt.Sprintf("\n%d\n", n-1))
	lines := strings.Split(strings.TrimSpace(contents(t, filepath.Join(w.opt.LogDir, "guest-busy.log"))), "\n")
	for i, l := range lines {
		if l != fmt.Sprint(i) {
			t.Fatalf("line %d of the log is %q", i, l)
		}
	}
	if len(lines) != n {
		t.Errorf("%d lines logged, want %d", len(lines), n)
	}
}

// TestOtherDaemon: a console that somebody else serves is taken when he is gone.
func TestOtherDaemon(t *testing.T) {
	w := newWorld(t)
	g := w.host.add(9)
	g.other = true
	w.host.remove(9)
	w.host.guests[9] = g
	for k, v := range map[string]string{"name": "shared", "console/ring-ref": g.ref, "console/port": "2"} {
		w.write(domainPath(9)+"/"+k, v)
	}
	w.start()
	if ok, err := w.store.Exists(t.Context(), domainPath(9)+"/console/tty"); ok || err != nil {
		t.Errorf("there is a terminal: %v, %v", ok, err)
	}
	w.host.mu.Lock()
	g.other = false
	w.host.mu.Unlock()
	c := w.look(w.tty(g))
	g.says(t, "mine now")
	c.sees(t, "mine now")
}

func TestQEMUsConsole(t *testing.T) {
	w := newWorld(t)
	w.write(domainPath(3)+"/console/type", "ioemu")
	g := w.boot(3, "hvm")
	w.write(domainPath(3)+"/console/type", "ioemu")
	_, stop := w.start()
	other := w.boot(4, "pv")
	w.look(w.tty(other)) // so that it had its turn
	stop()
	if ok, err := w.store.Exists(t.Context(), domainPath(3)+"/console/tty"); ok || err != nil {
		t.Errorf("there is a terminal: %v, %v", ok, err)
	}
	if g.page[3088] != 1 {
		t.Error("the page was touched")
	}
}

func TestRenameAndReload(t *testing.T) {
	w := newWorld(t)
	w.opt.HypervisorLog = true
	w.host.xenlog = []byte("(XEN) boot\n")
	d, _ := w.start()
	g := w.boot(3, "mini--incoming")
	c := w.look(w.tty(g))
	g.says(t, "as incoming\n")
	c.sees(t, "as incoming\n")
	w.write(domainPath(3)+"/name", "mini")
	path := filepath.Join(w.opt.LogDir, "guest-mini.log")
	eventually(t, "the log under the new name", func() bool { _, err := os.Stat(path); return err == nil })
	g.says(t, "as mini\n")
	c.sees(t, "as mini\n")
	if _, b, err := ReadTail(w.opt.TailDir, "mini", 0); err != nil || string(b) != "as incoming\nas mini\n" {
		t.Errorf("kept of mini: %q, %v", b, err)
	}
	w.logged("hypervisor.log", "(XEN) boot\n")
	for _, p := range []string{path, filepath.Join(w.opt.LogDir, "hypervisor.log")} {
		if err := os.Rename(p, p+".moved"); err != nil {
			t.Fatal(err)
		}
	}
	d.Reload()
	eventually(t, "the new log", func() bool { _, err := os.Stat(path); return err == nil })
	g.says(t, "after the reload\n")
	w.host.xenSays("(XEN) more\n")
	w.logged("guest-mini.log", "after the reload\n")
	w.logged("hypervisor.log", "(XEN) more\n")
	if got := contents(t, path+".moved"); got != "as mini\n" {
		t.Errorf("the moved log: %q", got)
	}
}

// TestFlood: a guest that does nothing but sending events gets 30 of them in 200 ms.
func TestFlood(t *testing.T) {
	w := newWorld(t)
	w.start()
	g := w.boot(3, "storm")
	c := w.look(w.tty(g))
	quiet := w.boot(4, "quiet")
	cq := w.look(w.tty(quiet))
	w.host.mu.Lock()
	p := g.bound
	w.host.mu.Unlock()
	stop := make(chan struct{})
	storming := make(chan struct{})
	go func() {
		defer close(storming)
		for {
			select {
			case <-stop:
				return
			default:
				g.notify()
			}
		}
	}()
	before, begun := p.delivered(), time.Now()
	time.Sleep(500 * time.Millisecond)
	quiet.says(t, "still served")
	cq.sees(t, "still served")
	got, took := p.delivered()-before, time.Since(begun)
	close(stop)
	<-storming
	if most := 30 * (int(took/eventPeriod) + 2); got > most {
		t.Errorf("%d events in %s, want at most %d", got, took, most)
	}
	g.says(t, "calm again")
	c.sees(t, "calm again")
}

// TestHostileGuest: indices that make no sense harm nobody, and are got over.
func TestHostileGuest(t *testing.T) {
	w := newWorld(t)
	w.start()
	g, other := w.boot(3, "hostile"), w.boot(4, "other")
	c, co := w.look(w.tty(g)), w.look(w.tty(other))
	for _, bad := range []struct{ cons, prod uint32 }{{0, 2049}, {1, 0}, {0, 1 << 31}, {0, 0xffffffff}} {
		atomic.StoreUint32(g.word(3080), bad.cons)
		atomic.StoreUint32(g.word(3084), bad.prod)
		atomic.StoreUint32(g.word(3072), bad.cons)
		atomic.StoreUint32(g.word(3076), bad.prod)
		g.notify()
		if _, err := c.WriteString("typed"); err != nil {
			t.Fatal(err)
		}
		other.says(t, "fine\n")
	}
	co.sees(t, "fine\nfine\nfine\nfine\n")
	for _, at := range []int{3072, 3076, 3080, 3084} {
		atomic.StoreUint32(g.word(at), 77)
	}
	g.says(t, "sane")
	c.sees(t, "sane")
	if _, err := c.WriteString("typed again"); err != nil { // what was typed before may be lost
		t.Fatal(err)
	}
	g.hears(t, "typed again")
}

func TestUnreadConsoleIsBounded(t *testing.T) {
	w := newWorld(t)
	w.limit = "20000"
	w.start()
	g := w.boot(3, "unread")
	tty := w.tty(g)
	line := strings.Repeat("x", 98) + "\r\n"
	for range 1000 {
		g.says(t, line)
	}
	g.says(t, "the end")
	c := w.look(tty)
	c.sees(t, "the end")
	if len(c.seen) > 60000 {
		t.Errorf("%d bytes were kept for a limit of 20000", len(c.seen))
	}
	if got := len(contents(t, filepath.Join(w.opt.LogDir, "guest-unread.log"))); got != 100007 {
		t.Errorf("the log has %d bytes, want all 100007", got)
	}
}

// TestKeepOverflow: with nobody reading, the guest waits, and then nothing is missing.
func TestKeepOverflow(t *testing.T) {
	w := newWorld(t)
	w.opt.KeepOverflow, w.limit = true, "16384"
	w.start()
	g := w.boot(3, "waits")
	tty := w.tty(g)
	text := strings.Repeat("0123456789abcdef", 8000)
	var left atomic.Int64
	left.Store(int64(len(text)))
	go func() {
		for b := []byte(text); len(b) > 0; {
			n := g.print(b)
			b = b[n:]
			left.Store(int64(len(b)))
			g.notify()
			if n == 0 {
				time.Sleep(5 * time.Millisecond)
			}
		}
	}()
	time.Sleep(500 * time.Millisecond)
	if left.Load() == 0 {
		t.Error("the guest did not have to wait")
	}
	c := w.look(tty)
	eventually(t, "the rest", func() bool {
		buf := make([]byte, 65536)
		c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		n, _ := c.Read(buf)
		c.seen = append(c.seen, buf[:n]...)
		return len(c.seen) >= len(text)
	})
	if string(c.seen) != text {
		t.Error("something else was shown than printed")
	}
}

func TestParseLimit(t *testing.T) {
	for s, want := range map[string]int{"": defaultLimit, "0": defaultLimit, "1048576": 1 << 20, "0x100000": 1 << 20,
		"10": minLimit, "99999999999": maxLimit, "-1": defaultLimit, "lots": defaultLimit} {
		if got := parseLimit(s); got != want {
			t.Errorf("parseLimit(%q) = %d, want %d", s, got, want)
		}
	}
}

// TestNewRing: after a soft reset a guest has another page and port, and empty nodes;
// the terminal stays the same.
func TestNewRing(t *testing.T) {
	w := newWorld(t)
	w.start()
	g := w.boot(3, "reset")
	tty := w.tty(g)
	c := w.look(tty)
	g.says(t, "before\n")
	c.sees(t, "before\n")
	dir := domainPath(3) + "/console/"
	w.host.mu.Lock()
	g.ref, g.port = "4321", 9
	w.host.mu.Unlock()
	err := w.store.Update(t.Context(), func(tx *xenstore.Tx) error {
		for k, v := range map[string]string{"ring-ref": "4321", "port": "9", "tty": ""} {
			if err := tx.Write(t.Context(), dir+k, v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if again := w.tty(g); again != tty {
		t.Errorf("the terminal is %s, was %s", again, tty)
	}
	g.says(t, "after\n")
	c.sees(t, "after\n")
	if _, err := c.WriteString("typed"); err != nil {
		t.Fatal(err)
	}
	g.hears(t, "typed")
}

// TestEndedBeforeItBegan runs a daemon whose context has ended, which is no error.
func TestEndedBeforeItBegan(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := New(w.dial(), w.host, w.opt).Run(ctx, nil); err != nil {
		t.Error(err)
	}
}
