//go:build linux

package console

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/backends"
	"goxl/backends/backtest"
	"goxl/xenstore/wire"
)

var theChannel = backends.ID{Dom: 5, Dev: 1}

const frontNodes, backNodes = "/local/domain/5/device/console/1", "/local/domain/0/backend/console/5/1"

// frontend is a guest's half of a channel.
type frontend struct {
	*testing.T
	m    *backtest.Machine
	page backtest.Page
	port *backtest.Port
}

// serveChannel runs the driver until the returned function is called.
func serveChannel(t *testing.T, m *backtest.Machine) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	store := m.Dial()
	ended := make(chan error, 1)
	go func() {
		ended <- backends.New(backends.Options{Store: store, Xen: m, Kind: ChannelKind, Driver: NewChannels(store, nil)}).Run(ctx)
	}()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		store.Close()
	}
}

// newFrontend makes the nodes of a channel and connects the guest to it.
func newFrontend(t *testing.T, m *backtest.Machine, back map[string]string) *frontend {
	t.Helper()
	back[ServerKey], back["name"] = ServerValue, "org.example.test"
	m.AddDevice(ChannelKind, ChannelKind, theChannel, back)
	g := m.Guest(theChannel.Dom)
	f := &frontend{t, m, g.Page(), g.Port()}
	m.Await(backNodes+"/state", "2")
	g.Write("device/console/1/ring-ref", strconv.Itoa(int(f.page.Ref)))
	g.Write("device/console/1/port", strconv.Itoa(int(f.port.ID)))
	g.Write("device/console/1/state", "3")
	m.Await(backNodes+"/state", "4")
	g.Write("device/console/1/state", "4")
	return f
}

// print is what the guest says. There is room for it.
func (f *frontend) print(s string) {
	at := index(f.page.Bytes, outProdAt)
	for _, b := range []byte(s) {
		f.page.Bytes[outOffset+*at%outSize] = b
		*at++
	}
	f.port.Notify()
}

// typed waits until the guest was sent want.
func (f *frontend) typed(want string) {
	f.Helper()
	var got []byte
	at := index(f.page.Bytes, inConsAt)
	for end := time.Now().Add(20 * time.Second); len(got) < len(want) && time.Now().Before(end); {
		if *at == *index(f.page.Bytes, inProdAt) {
			time.Sleep(time.Millisecond)
			continue
		}
		got = append(got, f.page.Bytes[inOffset+*at%inSize])
		*at++
	}
	if string(got) != want {
		f.Fatalf("the guest was sent %q, want %q", got, want)
	}
}

// TestChannelSocket carries bytes both ways, over a restart of the daemon.
func TestChannelSocket(t *testing.T) {
	m := backtest.New(t)
	path := filepath.Join(t.TempDir(), "socket")
	end := serveChannel(t, m)
	f := newFrontend(t, m, map[string]string{"connection": "socket", "path": path})
	f.print("nobody listens yet, ")
	for _, words := range []string{"nobody listens yet, ", "not yet again, "} {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		f.print("hello")
		read(t, c, words+"hello")
		write(t, c, "good day")
		f.typed("good day")
		end()
		c.Close()
		if exists(path) {
			t.Error("the socket stays")
		}
		f.print("not yet again, ")
		end = serveChannel(t, m)
		for i := 0; !exists(path) && i < 2000; i++ {
			time.Sleep(10 * time.Millisecond)
		}
	}
	m.Detach(ChannelKind, ChannelKind, theChannel, true)
	m.Await(backNodes+"/state", "6")
	end()
	if exists(path) {
		t.Error("the socket stays after the channel")
	}
}

// TestChannelTerminal: its name is told beside the guest's nodes.
func TestChannelTerminal(t *testing.T) {
	m := backtest.New(t)
	end := serveChannel(t, m)
	defer end()
	f := newFrontend(t, m, map[string]string{"connection": "pty"})
	tty, err := os.OpenFile(m.Read(frontNodes+"/tty"), os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	tty.SetReadDeadline(time.Now().Add(20 * time.Second))
	f.print("hello")
	read(t, tty, "hello")
	write(t, tty, "good day")
	f.typed("good day")
}

// TestForeignChannels: what the toolstack did not leave to this daemon stays alone.
func TestForeignChannels(t *testing.T) {
	m := backtest.New(t)
	end := serveChannel(t, m)
	m.AddDevice(ChannelKind, ChannelKind, theChannel, map[string]string{"connection": "pty"})                     // QEMU's
	m.AddDevice(ChannelKind, ChannelKind, backends.ID{Dom: 5, Dev: 0}, map[string]string{ServerKey: ServerValue}) // the primary one
	m.AddDevice(ChannelKind, ChannelKind, backends.ID{Dom: 5, Dev: 2}, map[string]string{ServerKey: ServerValue, "connection": "carrier pigeon"})
	m.Await("/local/domain/0/backend/console/5/2/hotplug-status", "error")
	end()
	for _, dev := range []string{"0", "1"} {
		if s := m.Read("/local/domain/0/backend/console/5/" + dev + "/state"); s != "1" {
			t.Errorf("console %s is in state %s", dev, s)
		}
	}
}

// TestChannelOfTheGuest: a node that the guest owns names no socket of the host.
func TestChannelOfTheGuest(t *testing.T) {
	m := backtest.New(t)
	path := filepath.Join(t.TempDir(), "socket")
	m.AddDevice(ChannelKind, ChannelKind, theChannel, map[string]string{"connection": "socket", "path": path})
	if err := m.Store.SetPerms(t.Context(), backNodes+"/path", []wire.Perm{{Access: wire.None, Dom: theChannel.Dom}}); err != nil {
		t.Fatal(err)
	}
	if err := m.Store.Write(t.Context(), backNodes+"/"+ServerKey, ServerValue); err != nil {
		t.Fatal(err)
	}
	defer serveChannel(t, m)()
	m.Await(backNodes+"/hotplug-status", "error")
	if exists(path) {
		t.Error("the guest has made a socket")
	}
}
