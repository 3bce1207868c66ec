//go:build linux

package tap

import (
	"encoding/binary"
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

// ownNetwork gives the test a network of its own, if it may have one. The thread
// is never given back, so that no other test finds itself there.
func ownNetwork(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	err := unix.Unshare(unix.CLONE_NEWNET)
	if err == nil {
		var f *os.File
		if f, err = os.OpenFile(devPath, os.O_RDWR, 0); err == nil {
			f.Close()
		}
	}
	if err != nil {
		if os.Getenv("XEN_TEST") == "require" {
			t.Fatal(err)
		}
		t.Skipf("needs a network namespace and %s: %v", devPath, err)
	}
}

func create(t testing.TB, name, tag string) *Device {
	t.Helper()
	d, err := Create(name, tag)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Remove(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func attach(t testing.TB, d *Device, n int, o Offloads) []*Queue {
	t.Helper()
	queues, err := d.Attach(n, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, q := range queues {
			if err := q.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	return queues
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// up sets an interface up with an address and a neighbour to send to.
func up(t testing.TB, name string) {
	t.Helper()
	l := must[netlink.Link](t)(netlink.LinkByName(name))
	addr := must[*netlink.Addr](t)(netlink.ParseAddr("10.9.0.1/24"))
	err := errors.Join(netlink.AddrAdd(l, addr), netlink.LinkSetUp(l), netlink.NeighAdd(&netlink.Neigh{
		LinkIndex: l.Attrs().Index, State: netlink.NUD_PERMANENT, IP: net.IPv4(10, 9, 0, 2),
		HardwareAddr: net.HardwareAddr{0, 0x16, 0x3e, 1, 2, 3},
	}))
	if err != nil {
		t.Fatal(err)
	}
}

// udp sends a datagram to the neighbour.
func udp(t testing.TB, size int) {
	t.Helper()
	fd := must[int](t)(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0))
	defer unix.Close(fd)
	if err := unix.Sendto(fd, make([]byte, size), 0, &unix.SockaddrInet4{Port: 7777, Addr: [4]byte{10, 9, 0, 2}}); err != nil {
		t.Fatal(err)
	}
}

// datagram sends a datagram and reads frames until it comes. One that is sent before
// the kernel has noticed the carrier is lost, so it is sent again.
func datagram(t *testing.T, q *Queue, size int) (head, frame []byte) {
	t.Helper()
	b := make([]byte, MaxRead)
	for range 200 {
		udp(t, size)
		for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
			n := must[int](t)(q.TryRead(b))
			if n > 10+42 && b[10+23] == 17 && binary.BigEndian.Uint16(b[10+36:]) == 7777 {
				return b[:10], b[10:n]
			}
		}
	}
	t.Fatal("no datagram of ours among the frames")
	return nil, nil
}

func TestLabFramesAndOffloads(t *testing.T) {
	ownNetwork(t)
	d := create(t, "vif7.0", "test 7/0")
	if err := d.SetMTU(9000); err != nil {
		t.Fatal(err)
	}
	up(t, "vif7.0")
	for _, on := range []bool{true, false} {
		q := attach(t, d, 1, Offloads{Checksum: on, TCPv4: true, TCPv6: true})[0]
		head, frame := datagram(t, q, 8000)
		if len(frame) != 8042 {
			t.Errorf("a datagram of 8000 bytes came as frame of %d", len(frame))
		}
		if blank := head[0]&1 != 0; blank != on {
			t.Errorf("checksum offload %v: header %x", on, head)
		}
		before := must[Stats](t)(d.Stats())
		if err := q.Write(append(make([]byte, 10), frame...)); err != nil {
			t.Error(err)
		}
		if after := must[Stats](t)(d.Stats()); after.RxPackets != before.RxPackets+1 || after.TxPackets == 0 {
			t.Errorf("counters went from %+v to %+v", before, after)
		}
		if err := q.Write(make([]byte, 10)); !errors.As(err, new(syscall.Errno)) {
			t.Errorf("writing an empty frame = %v, want the kernel's refusal", err)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLabOutlivesItsProgram holds what a restarted daemon relies on.
func TestLabOutlivesItsProgram(t *testing.T) {
	ownNetwork(t)
	d := create(t, "vif7.1", "test 7/1")
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	l := must[netlink.Link](t)(netlink.LinkByName("vif7.1"))
	err := errors.Join(netlink.LinkAdd(br), netlink.LinkSetUp(br), netlink.LinkSetName(l, "guest0"),
		netlink.LinkSetMaster(l, br), netlink.LinkSetUp(l))
	if err != nil {
		t.Fatal(err)
	}
	carrier := func() bool {
		return must[netlink.Link](t)(netlink.LinkByName("guest0")).Attrs().RawFlags&unix.IFF_LOWER_UP != 0
	}
	for _, queues := range []int{1, 4, 2} {
		found := must[*Device](t)(Find("test 7/1"))
		if name := must[string](t)(found.Name()); name != "guest0" {
			t.Errorf("found as %s", name)
		}
		q := attach(t, found, queues, Offloads{})
		if !carrier() {
			t.Errorf("%d queues attached and no carrier", queues)
		}
		if err := errors.Join(q[0].SetCarrier(false)); err != nil {
			t.Error(err)
		} else if carrier() {
			t.Error("carrier is on though switched off")
		}
		if err := q[0].SetCarrier(true); err != nil {
			t.Error(err)
		}
		for _, x := range q {
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		}
		if carrier() {
			t.Error("no queue attached and a carrier")
		}
		if a := must[netlink.Link](t)(netlink.LinkByName("guest0")).Attrs(); a.MasterIndex != br.Index {
			t.Error("the interface has left its bridge")
		}
	}
	if _, err := Create("vif7.1", "test 7/1"); err != nil {
		t.Fatal(err)
	}
	if all := must[[]*Device](t)(List("test ")); len(all) != 1 || must[string](t)(all[0].Name()) != "vif7.1" {
		t.Errorf("after a second Create there are %d", len(all))
	}
	again := must[*Device](t)(Find("test 7/1"))
	if err := errors.Join(again.Remove(), again.Remove(), d.Remove()); err != nil {
		t.Error(err)
	}
	if _, err := Find("test 7/1"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Find after Remove = %v", err)
	}
	if _, err := again.Attach(1, Offloads{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Attach after Remove = %v", err)
	}
}

func TestLabPoll(t *testing.T) {
	ownNetwork(t)
	d := create(t, "vif7.2", "test 7/2")
	q := attach(t, d, 2, Offloads{})
	buf := make([]byte, MaxRead)
	readable := func() bool {
		fds := []unix.PollFd{{Fd: int32(q[0].FD()), Events: unix.POLLIN}, {Fd: int32(q[1].FD()), Events: unix.POLLIN}}
		return must[int](t)(unix.Poll(fds, 0)) > 0
	}
	if n, err := q[0].TryRead(buf); n != 0 || err != nil || readable() {
		t.Errorf("TryRead() = %d, %v with no frame, readable %v", n, err, readable())
	}
	if err := q[0].Write(append(make([]byte, 10), make([]byte, 60)...)); !errors.Is(err, ErrDown) {
		t.Errorf("Write to an interface that is down = %v", err)
	}
	up(t, "vif7.2")
	for end := time.Now().Add(10 * time.Second); !readable(); udp(t, 100) {
		if time.Now().After(end) {
			t.Fatal("datagrams are sent, and no queue is readable")
		}
	}
	if err := errors.Join(q[1].Close(), q[1].Close()); err != nil {
		t.Error(err)
	}
	if _, err := q[1].TryRead(buf); !errors.Is(err, os.ErrClosed) {
		t.Errorf("TryRead() = %v after Close", err)
	}
	if err := q[1].Write(buf[:70]); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write() = %v after Close", err)
	}
	if err := d.Remove(); err != nil {
		t.Fatal(err)
	}
	for range 1000 { // some frames may be left
		if _, err := q[0].TryRead(buf); err != nil {
			return
		}
	}
	t.Error("frames are read of an interface that is gone")
}

func TestLabNoAllocations(t *testing.T) {
	ownNetwork(t)
	d := create(t, "vif7.3", "test 7/3")
	up(t, "vif7.3")
	q := attach(t, d, 1, Offloads{Checksum: true})[0]
	out, in := append(make([]byte, 10), make([]byte, 60)...), make([]byte, MaxRead)
	n := testing.AllocsPerRun(50, func() {
		if err := q.Write(out); err != nil {
			t.Error(err)
		}
		if _, err := q.TryRead(in); err != nil {
			t.Error(err)
		}
	})
	if n > 0 {
		t.Errorf("%v allocations", n)
	}
}
