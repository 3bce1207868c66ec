package capture

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bufferBytes is how much the kernel keeps while the reader is busy.
const bufferBytes = 8 << 20

// Live listens to an interface. It belongs to one goroutine, but for Close.
type Live struct {
	f    *os.File
	raw  syscall.RawConn
	buf  []byte
	name string
}

// Open starts to listen to the interface name, and keeps snap bytes of each frame; 0
// is DefaultSnap. It needs CAP_NET_RAW.
func Open(name string, snap int) (*Live, error) {
	if snap == 0 {
		snap = DefaultSnap
	}
	i, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("listen to %s: %w", name, err)
	}
	// Bound from the start to no protocol, so that no other interface is heard.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("listen to %s: %w", name, err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bufferBytes) // best effort
	err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_ALL), Ifindex: i.Index})
	if err != nil {
		return nil, fmt.Errorf("listen to %s: %w", name, errors.Join(err, unix.Close(fd)))
	}
	f := os.NewFile(uintptr(fd), "packets")
	raw, err := f.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &Live{f: f, raw: raw, buf: make([]byte, snap), name: name}, nil
}

func networkOrder(v uint16) uint16 { return v<<8 | v>>8 }

// Next waits for a frame. Its data are valid until the next call. It ends with ctx,
// with os.ErrClosed after Close, and with syscall.ENETDOWN when the interface is set
// down or removed.
func (l *Live) Next(ctx context.Context) (Packet, error) {
	if err := l.f.SetReadDeadline(time.Time{}); err != nil {
		return Packet{}, os.ErrClosed
	}
	stop := context.AfterFunc(ctx, func() { _ = l.f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var p Packet
	var failed error
	err := l.raw.Read(func(fd uintptr) bool {
		n, from, err := unix.Recvfrom(int(fd), l.buf, unix.MSG_TRUNC)
		if err == unix.EAGAIN || err == unix.EINTR {
			return false
		}
		failed = err
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && err == nil {
			p = Packet{time.Now(), l.buf[:min(n, len(l.buf))], n, ll.Pkttype != unix.PACKET_OUTGOING}
		}
		return true
	})
	switch {
	case ctx.Err() != nil:
		return Packet{}, context.Cause(ctx)
	case err != nil:
		return Packet{}, os.ErrClosed // the only other reason
	case failed != nil:
		return Packet{}, fmt.Errorf("listen to %s: %w", l.name, failed)
	}
	return p, nil
}

// Dropped returns how many frames passed since the last call, and how many of them
// were missed.
func (l *Live) Dropped() (passed, missed uint64, err error) {
	var s *unix.TpacketStats
	cerr := l.raw.Control(func(fd uintptr) {
		s, err = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	})
	if err = errors.Join(cerr, err); err != nil {
		return 0, 0, fmt.Errorf("count the frames of %s: %w", l.name, err)
	}
	return uint64(s.Packets), uint64(s.Drops), nil
}

// Close stops to listen and ends a running Next. It may be called twice.
func (l *Live) Close() error {
	if err := l.f.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
