package blkback

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper is how a queue's goroutine waits for all at once: the guest's event, the ends
// of requests at the host, others that call it, and a time. The first two are one
// descriptor to Go's poller, whose thread then goes on as the queue's: no other thread
// has to be woken. Others call by the descriptor's deadline, without a system call.
//
// It is used once, from open to close; before and after that wake does nothing.
type sleeper struct {
	asleep atomic.Bool // or about to be, and not looked for news since

	mu   sync.Mutex // of wake and close
	all  *os.File   // an epoll of all descriptors; nil: not open
	conn syscall.RawConn
	look func(uintptr) bool
	port int

	looks int // in the last sleep

	timer *time.Timer
	due   bool        // it runs
	rang  atomic.Bool // it is over
}

// forever is a time that sleep does not end after.
const forever = time.Duration(math.MaxInt64)

var past = time.Unix(1, 0)

// open has sleep wait for these descriptors; batch may be -1. When one of them may have
// something, look looks and says whether to wake up.
func (s *sleeper) open(port, batch int, look func() bool) error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(fd, true) // it is never read, but so Go takes it to its poller
	}
	if err != nil {
		return fmt.Errorf("wait for several things: %w", err)
	}
	all := os.NewFile(uintptr(fd), "epoll of a ring")
	for _, one := range []int{port, batch} {
		if one >= 0 && err == nil {
			err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, one, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(one)})
		}
	}
	if err == nil {
		err = all.SetReadDeadline(time.Time{})
	}
	if err == nil {
		s.conn, err = all.SyscallConn()
	}
	if err != nil {
		return fmt.Errorf("wait for several things: %w", errors.Join(err, all.Close()))
	}
	s.timer = time.AfterFunc(time.Hour, func() { s.rang.Store(true); s.wake() })
	s.timer.Stop()
	s.look = func(uintptr) bool { s.looks++; return look() }
	s.port = port
	s.mu.Lock()
	s.all = all
	s.mu.Unlock()
	return nil
}

func (s *sleeper) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		return nil
	}
	s.timer.Stop()
	err := s.all.Close()
	s.all = nil
	return err
}

// ignorePort has what comes at the port wake nobody any more.
func (s *sleeper) ignorePort() {
	_ = s.conn.Control(func(fd uintptr) { _ = unix.EpollCtl(int(fd), unix.EPOLL_CTL_DEL, s.port, nil) })
}

// wake has the sleeper look for news, which must be there for it to see by now. Any
// goroutine may call it.
func (s *sleeper) wake() {
	if !s.asleep.Swap(false) {
		return // it is going to look
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all != nil {
		_ = s.all.SetReadDeadline(past)
	}
}

// sleep waits until look says so, wake is called, or patience is over, and reports whether
// it was that. Of two that follow each other, idlePause goes on from the first.
func (s *sleeper) sleep(patience time.Duration) (late bool, err error) {
	if patience != forever && (patience != idlePause || !s.due) {
		s.due = true
		s.timer.Reset(patience)
	}
	s.looks = 0
	s.asleep.Store(true) // from here on, whoever has news for look wakes us
	err = s.conn.Read(s.look)
	s.asleep.Store(false)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = s.all.SetReadDeadline(time.Time{}) // a wake that comes late is one too many, and no harm
	}
	if err != nil {
		return false, fmt.Errorf("wait for something to do: %w", err)
	}
	if late = s.rang.Swap(false); late {
		s.due = false
	}
	return late, nil
}

// yield is a system call that Go's runtime is told of.
func yield() { _, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }
