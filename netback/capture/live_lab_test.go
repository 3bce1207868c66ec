//go:build linux

package capture

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// TestLabListen listens to one end of a pair of interfaces, on which frames go both
// ways.
func TestLabListen(t *testing.T) {
	runtime.LockOSThread() // for good: the thread stays in its own network
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		if os.Getenv("XEN_TEST") == "require" {
			t.Fatal(err)
		}
		t.Skipf("needs a network namespace: %v", err)
	}
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "vif1.0"}, PeerName: "guest"}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Skipf("needs veth: %v", err)
	}
	ours, _ := netlink.LinkByName("vif1.0")
	theirs, err := netlink.LinkByName("guest")
	if err := errors.Join(err, netlink.LinkSetUp(ours), netlink.LinkSetUp(theirs)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("nothing", 0); err == nil {
		t.Error("opened an interface that does not exist")
	}
	l, err := Open("vif1.0", 100)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, from := range []netlink.Link{theirs, ours} {
		send(t, from.Attrs().Index, 400)
		p := next(t, l)
		if p.Len != 400 || len(p.Data) != 100 || p.FromGuest != (from == theirs) || time.Since(p.Time) > time.Minute {
			t.Errorf("frame of %d bytes, %d kept, from the guest: %v", p.Len, len(p.Data), p.FromGuest)
		}
	}
	if passed, missed, err := l.Dropped(); passed < 2 || missed != 0 || err != nil {
		t.Errorf("%d passed, %d missed, %v", passed, missed, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for err == nil {
		_, err = l.Next(ctx)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Next() = %v", err)
	}
	if err := netlink.LinkDel(ours); err != nil {
		t.Fatal(err)
	}
	for err = nil; err == nil; {
		_, err = l.Next(t.Context())
	}
	if !errors.Is(err, syscall.ENETDOWN) {
		t.Errorf("Next() after the interface has gone = %v", err)
	}
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Error(err)
	}
	if _, err := l.Next(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Next() after Close = %v", err)
	}
}

// next returns the next frame of ours; the host sends some by itself.
func next(t *testing.T, l *Live) Packet {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		p, err := l.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Data) > 14 && p.Data[12] == 0x88 && p.Data[13] == 0xb5 {
			return p
		}
	}
}

// send sends a frame of an experimental protocol.
func send(t *testing.T, index, size int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	f := make([]byte, size)
	copy(f, net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0x16, 0x3e, 1, 2, 3, 0x88, 0xb5})
	if err := unix.Sendto(fd, f, 0, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
		t.Fatal(err)
	}
}
