package netback

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Each system call that Go's runtime hears of wakes its watcher, a thread that looks
// around every 20 µs for a while and takes processors away from who stays in the kernel.
// Where looking is slow, as in a PV domain or in emulation, that took more time than all
// else here (docs/speed.md). So the runtime hears of none, and a queue's goroutine sleeps
// in two ways. A nap is a system call, too: to the runtime the goroutine is computing, on
// a processor that it has to itself (Options.Threads), and the signal with which the
// runtime stops those who compute ends the nap. When nothing has come for so long, the
// goroutine parks in the runtime's poller, like any that waits for a file.

const nap = 10 * time.Millisecond

// What a poller looks at: two event channels at most, the tap, the bell.
const (
	seesLine = iota // and the next one
	_
	seesTap
	seesBell
	pollerSize
)

// poller waits for one of several file descriptors. It belongs to one goroutine, and
// allocates nothing.
type poller struct {
	fds   [pollerSize]unix.PollFd
	nap   unix.Timespec
	inner int      // epoll(7) of them
	outer *os.File // epoll of inner, while the goroutine parks: it is what the runtime sees
	gate  uintptr  // outer's file descriptor
	event unix.EpollEvent
	raw   syscall.RawConn
	look  func(uintptr) bool
	known [pollerSize]int32 // those in inner
	err   error

	parked bool // in the last wait
}

// open opens a poller that looks at nothing.
func (p *poller) open() (err error) {
	for i := range p.fds {
		p.fds[i].Fd, p.known[i] = -1, -1
	}
	if p.inner, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("poller: %w", err)
	}
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return fmt.Errorf("poller: %w", errors.Join(err, unix.Close(p.inner)))
	}
	err = unix.SetNonblock(fd, true) // tells os.NewFile to give it to the runtime's poller
	p.outer, p.gate = os.NewFile(uintptr(fd), "epoll"), uintptr(fd)
	if err == nil {
		p.raw, err = p.outer.SyscallConn()
	}
	if err != nil {
		return fmt.Errorf("poller: %w", errors.Join(err, p.close()))
	}
	p.look = func(uintptr) bool { return p.poll(0) }
	return nil
}

// watch has fd looked at as number i; a negative one is none.
func (p *poller) watch(i, fd int) { p.fds[i] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN} }

// ready says whether a wait has seen something at number i. An error counts: what is
// done next will say which.
func (p *poller) ready(i int) bool { return p.fds[i].Revents != 0 }

// wait sleeps until there is something, or limit has passed; zero is no limit. It may
// end early.
func (p *poller) wait(limit time.Duration) error {
	short := nap
	if limit > 0 {
		short = min(limit, nap)
	}
	p.parked = false
	if p.poll(short) || short == limit {
		return p.err
	}
	p.parked = true
	return p.park(limit - short)
}

// poll looks whether there is something, for so long, or whether that ended early.
func (p *poller) poll(limit time.Duration) bool {
	p.nap = unix.NsecToTimespec(limit.Nanoseconds())
	n, _, errno := unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p.fds)), pollerSize,
		uintptr(unsafe.Pointer(&p.nap)), 0, 0, 0)
	switch errno {
	case 0:
		return n > 0
	case unix.EINTR:
		for i := range p.fds {
			p.fds[i].Revents = 0
		}
		return true
	}
	p.err = fmt.Errorf("poll: %w", errno)
	return true
}

// park waits by the runtime's poller; a limit that is not positive is none.
func (p *poller) park(limit time.Duration) error {
	if err := p.tell(); err != nil {
		return err
	}
	if limit > 0 {
		if err := p.outer.SetReadDeadline(time.Now().Add(limit)); err != nil {
			return fmt.Errorf("poller: %w", err)
		}
		defer p.outer.SetReadDeadline(time.Time{})
	}
	if err := p.nest(unix.EPOLL_CTL_ADD); err != nil {
		return err
	}
	err := p.raw.Read(p.look)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return errors.Join(err, p.nest(unix.EPOLL_CTL_DEL), p.err)
}

// tell tells inner what fds are.
func (p *poller) tell() error {
	for i := range p.fds {
		is, was := p.fds[i].Fd, p.known[i]
		if is == was {
			continue
		}
		if was >= 0 {
			if err := unix.EpollCtl(p.inner, unix.EPOLL_CTL_DEL, int(was), nil); err != nil {
				return fmt.Errorf("poller: %w", err)
			}
			p.known[i] = -1
		}
		if is >= 0 {
			if err := unix.EpollCtl(p.inner, unix.EPOLL_CTL_ADD, int(is), &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
				return fmt.Errorf("poller: %w", err)
			}
			p.known[i] = is
		}
	}
	return nil
}

// nest puts inner into outer, or takes it out: the runtime is to be woken while the
// goroutine is parked only.
func (p *poller) nest(op uintptr) error {
	p.event.Events = unix.EPOLLIN
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, p.gate, op, uintptr(p.inner), uintptr(unsafe.Pointer(&p.event)), 0, 0)
	if errno != 0 {
		return fmt.Errorf("poller: %w", errno)
	}
	return nil
}

// close closes the poller. It may be called twice.
func (p *poller) close() error {
	if p.outer == nil {
		return nil
	}
	err := errors.Join(p.outer.Close(), unix.Close(p.inner))
	p.outer = nil
	return err
}
