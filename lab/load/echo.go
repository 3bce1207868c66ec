package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Datagrams go by blocking system calls, two for each: the poller would make more.

// lost is how long to wait for the answers to datagrams before they count as lost.
const lost = 500 * time.Millisecond

func socket(addr string, use func(fd int, sa unix.Sockaddr) error) (int, error) {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := use(fd, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// echo sends each datagram back.
func echo(addr string) error {
	fd, err := socket(addr, unix.Bind)
	if err != nil {
		return err
	}
	b := make([]byte, 64<<10)
	for {
		n, from, err := unix.Recvfrom(fd, b, 0)
		if err == nil {
			err = unix.Sendto(fd, b[:n], 0, from)
		}
		if err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ENETUNREACH) { // the interface may just go
			return err
		}
	}
}

// askEcho has count datagrams of size bytes go to the listener and come back, window
// of them on the way at a time. A few may be lost, and are replaced.
func askEcho(addr string, count, size, window int) (time.Duration, error) {
	if size < 4 {
		return 0, fmt.Errorf("datagrams of %d bytes have no room for their number", size)
	}
	conn, err := dial(addr) // as soon as there is a way
	if err != nil {
		return 0, err
	}
	conn.Close()
	fd, err := socket(addr, unix.Connect)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(lost.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return 0, err
	}
	b := make([]byte, size)
	begin := time.Now()
	sent, came, missing := 0, 0, 0
	for came < count {
		for sent-came-missing < window && sent-missing < count {
			binary.LittleEndian.PutUint32(b, uint32(sent))
			if _, err := unix.Write(fd, b); err != nil {
				return 0, err
			}
			sent++
		}
		switch n, err := unix.Read(fd, b); {
		case errors.Is(err, unix.EAGAIN):
			missing = sent - came
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case n != size:
			return 0, fmt.Errorf("%d bytes came back for %d", n, size)
		default:
			came++
		}
		if missing > count/20+window {
			return 0, fmt.Errorf("%d of %d datagrams were lost", missing, sent)
		}
	}
	return time.Since(begin), nil
}
