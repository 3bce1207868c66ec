//go:build linux

package blkback_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// slowDisk is a block device of the kernel's, /dev/nbd0, whose blocks this process
// keeps: it can hold a write back as long as it likes, with whoever writes inside the
// kernel.
type slowDisk struct {
	t    *testing.T
	dev  *os.File
	peer net.Conn
	wg   sync.WaitGroup

	mu    sync.Mutex
	b     []byte
	marks [][]byte      // what to look for in writes
	seen  []string      // which mark each write began with, in the order of their ends
	came  chan string   // the same when they come
	hold  chan struct{} // the first marked write waits for it
	holds bool
}

// Requests of the kernel's client and its ioctls. Source: linux/nbd.h.
const (
	nbdSetSock       = 0xab00
	nbdSetBlockSize  = 0xab01
	nbdDoIt          = 0xab03
	nbdClearSock     = 0xab04
	nbdSetBlocks     = 0xab07
	nbdDisconnect    = 0xab08
	nbdRequestMagic  = 0x25609513
	nbdReplyMagic    = 0x67446698
	nbdRead          = 0
	nbdWrite         = 1
	nbdRequestLength = 28
)

func newSlowDisk(t *testing.T, size int, marks ...string) *slowDisk {
	t.Helper()
	if out, err := exec.Command("modprobe", "nbd").CombinedOutput(); err != nil {
		t.Fatalf("modprobe nbd: %v %s", err, out)
	}
	dev, err := os.OpenFile("/dev/nbd0", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	d := &slowDisk{t: t, dev: dev, b: make([]byte, size), came: make(chan string, 100), hold: make(chan struct{}), holds: true}
	for _, m := range marks {
		d.marks = append(d.marks, []byte(m))
	}
	ours, theirs := tcpPair(t)
	d.peer = ours
	d.wg.Go(d.serve)
	file, err := theirs.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	defer theirs.Close()
	for _, c := range []struct{ op, arg uintptr }{{nbdSetBlockSize, 512}, {nbdSetBlocks, uintptr(size / 512)}, {nbdSetSock, file.Fd()}} {
		if err := d.ioctl(c.op, c.arg); err != nil {
			t.Fatal(err)
		}
	}
	d.wg.Go(func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with its signal mask
		withoutSignals(t)
		_ = d.ioctl(nbdDoIt, 0) // lasts as long as the device
	})
	t.Cleanup(d.close)
	return d
}

// withoutSignals keeps all signals from this thread. The kernel ends the device, and
// every request with an I/O error, when one arrives in the call that lasts as long as
// it; the death of a daemon is one, SIGCHLD.
func withoutSignals(t *testing.T) {
	var all unix.Sigset_t
	for i := range all.Val {
		all.Val[i] = ^uint64(0)
	}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &all, nil); err != nil {
		t.Errorf("block signals: %v", err)
	}
}

func tcpPair(t *testing.T) (net.Conn, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return b, a.(*net.TCPConn)
}

func (d *slowDisk) ioctl(op, arg uintptr) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, d.dev.Fd(), op, arg); e != 0 {
		return fmt.Errorf("ioctl %#x of nbd0: %w", op, e)
	}
	return nil
}

// free lets the write go that is held.
func (d *slowDisk) free() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hold != nil {
		close(d.hold)
		d.hold = nil
	}
}

// holdAgain holds the next marked write back. The last one must be free.
func (d *slowDisk) holdAgain() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hold, d.holds = make(chan struct{}), true
}

func (d *slowDisk) close() {
	d.free()
	if err := errors.Join(d.ioctl(nbdDisconnect, 0), d.ioctl(nbdClearSock, 0)); err != nil {
		d.t.Error(err)
	}
	d.peer.Close()
	d.wg.Wait()
	d.dev.Close()
}

// serve answers requests, each in its own time.
func (d *slowDisk) serve() {
	head := make([]byte, nbdRequestLength)
	var sending sync.Mutex
	for {
		if _, err := io.ReadFull(d.peer, head); err != nil || binary.BigEndian.Uint32(head) != nbdRequestMagic {
			return
		}
		op, off, n := binary.BigEndian.Uint32(head[4:])&0xffff, binary.BigEndian.Uint64(head[16:]), binary.BigEndian.Uint32(head[24:])
		reply := append(binary.BigEndian.AppendUint64(nil, nbdReplyMagic<<32), head[8:16]...)
		data := make([]byte, n)
		switch op {
		case nbdWrite:
			if _, err := io.ReadFull(d.peer, data); err != nil {
				return
			}
		case nbdRead:
		default:
			return
		}
		d.wg.Go(func() {
			reply := d.do(op, off, data, reply)
			sending.Lock()
			defer sending.Unlock()
			_, _ = d.peer.Write(reply)
		})
	}
}

// do does one request and returns its reply.
func (d *slowDisk) do(op uint32, off uint64, data, reply []byte) []byte {
	if op == nbdRead {
		d.mu.Lock()
		defer d.mu.Unlock()
		return append(reply, d.b[off:off+uint64(len(data))]...)
	}
	name := ""
	for _, m := range d.marks {
		if bytes.HasPrefix(data, m) {
			name = string(m)
		}
	}
	if name != "" {
		d.mu.Lock()
		wait, hold := d.holds, d.hold
		d.holds = false
		d.mu.Unlock()
		d.came <- name
		if wait && hold != nil {
			<-hold
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	copy(d.b[off:], data)
	if name != "" {
		d.seen = append(d.seen, name)
	}
	return reply
}

// order is in which order marks were written.
func (d *slowDisk) order() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.seen)
}
