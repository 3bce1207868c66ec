package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"goxl/domains/logs"
)

// How long a terminal stays after its guest's death for a reader to get the last
// words: as long as he makes progress, within a limit.
const (
	lastWordsStep    = 500 * time.Millisecond
	lastWordsAtMost  = 5 * time.Second
	lastWordsLookout = 20 * time.Millisecond
)

// sink is where a console's output goes: the terminal, or what is in its place, through a backlog, the log and
// the tail. It lives as long as its domain, while rings come and go.
type sink struct {
	out   outlet
	log   *logs.Logger
	more  chan struct{} // the backlog is not empty any more
	room  chan struct{} // it is not full any more
	stop  context.CancelFunc
	done  chan struct{}
	nags  struct{ file, tail, out nag }
	known []byte // see skip

	mu   sync.Mutex // of all below
	wait backlog
	file *logFile // nil: no log
	tail *tail    // nil: nothing is kept
}

// newSink makes a sink and starts feeding out. It owns what it is given.
// Resumed says that an earlier daemon wrote the tail of this very domain.
func newSink(out outlet, wait backlog, file *logFile, t *tail, resumed bool, log *logs.Logger) *sink {
	ctx, stop := context.WithCancel(context.Background())
	s := &sink{
		out: out, log: log, wait: wait, file: file, tail: t, stop: stop,
		more: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{}),
	}
	s.nags.file = nag{log: log, text: "cannot write the console's log"}
	s.nags.tail = nag{log: log, text: "cannot keep the console's last output"}
	s.nags.out = nag{log: log, text: "cannot write to the console's terminal"}
	if resumed {
		s.resume()
	}
	go s.feed(ctx)
	return s
}

// resume gives the terminal what the daemon before us had taken from the ring and not
// given to its own, and the log what it was about to write there.
func (s *sink) resume() {
	b, err := s.tail.Since(0)
	s.nags.tail.hit(err)
	if err != nil {
		return
	}
	s.known = b[max(len(b)-outSize, 0):]
	if last := b[len(b)-int(s.tail.Last):]; s.file != nil && s.file.found == int64(s.tail.Logged) {
		s.nags.file.hit(s.file.Write(last)) // it was killed before it did that
	}
	b = b[len(b)-int(min(s.tail.Produced-s.tail.Given, uint64(len(b)))):]
	s.wait.Add(b)
	wake(s.more)
}

// skip returns how many bytes of out, whose first has index from in the ring, an
// earlier daemon had kept already when it was killed, just before it said so to the
// guest. It counts for the first bytes of a ring only.
func (s *sink) skip(out []byte, from uint32) int {
	known := s.known
	s.known = nil
	if known == nil {
		return 0
	}
	s.mu.Lock()
	n := s.tail.Next - from
	s.mu.Unlock()
	if int64(n) > int64(min(len(out), len(known))) || !bytes.Equal(out[:n], known[len(known)-int(n):]) {
		return 0
	}
	return int(n)
}

// take takes bytes that the guest printed, of which the last has index next-1. What
// cannot be written somewhere is lost there, and there only.
func (s *sink) take(b []byte, next uint32) {
	if len(b) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail != nil { // first: it says whether the log has them, see resume
		logged := int64(0)
		if s.file != nil {
			logged = s.file.size
		}
		s.nags.tail.hit(s.tail.Add(b, next, logged))
	}
	if s.file != nil {
		s.nags.file.hit(s.file.Write(b))
	}
	dropped := s.wait.Dropped
	s.wait.Add(b)
	if n := s.wait.Dropped - dropped; n > 0 && s.tail != nil {
		s.nags.tail.hit(s.tail.Gave(n))
	}
	wake(s.more)
}

// hasRoom waits until more output may be taken. Only a backlog that must lose
// nothing makes it wait.
func (s *sink) hasRoom(ctx context.Context) error {
	for {
		s.mu.Lock()
		ok := !s.wait.keep || !s.wait.Full()
		s.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.room:
		}
	}
}

// feed writes the backlog to the terminal until ctx ends.
func (s *sink) feed(ctx context.Context) {
	defer close(s.done)
	release := context.AfterFunc(ctx, func() { s.out.SetWriteDeadline(time.Unix(1, 0)) })
	defer release()
	buf := make([]byte, 4096)
	for ctx.Err() == nil {
		s.mu.Lock()
		n := copy(buf, s.wait.Peek())
		s.mu.Unlock()
		if n == 0 {
			select {
			case <-ctx.Done():
			case <-s.more:
			}
			continue
		}
		n, err := s.out.Write(buf[:n])
		s.gave(n)
		if err != nil && ctx.Err() == nil {
			s.nags.out.hit(err)
			pause(ctx, time.Second)
		}
	}
}

func (s *sink) gave(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait.Skip(n)
	if s.tail != nil {
		s.nags.tail.hit(s.tail.Gave(uint64(n)))
	}
	wake(s.room)
}

// left returns how much nobody has read yet.
func (s *sink) left() int {
	n, err := s.out.Unread()
	s.nags.out.hit(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	return n + s.wait.Len()
}

// reopenLog opens the log at path anew.
func (s *sink) reopenLog(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		s.nags.file.hit(s.file.Reopen(path))
	}
}

// rename has log and tail go on under the guest's new name.
func (s *sink) rename(logPath, tailDir, name string) {
	s.reopenLog(logPath)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tail != nil {
		s.nags.tail.hit(s.tail.Rename(tailDir, name))
	}
}

// end is for a guest that is gone since at: it notes that, lets a reader have the last
// words, and closes all.
func (s *sink) end(ctx context.Context, at time.Time) error {
	s.mu.Lock()
	if s.tail != nil {
		s.nags.tail.hit(s.tail.End(at))
	}
	s.mu.Unlock()
	giveUp := time.Now().Add(lastWordsAtMost)
	for least, since := s.left()+1, time.Now(); ctx.Err() == nil; {
		left := s.left()
		if left < least {
			least, since = left, time.Now()
		}
		if left == 0 || time.Since(since) > lastWordsStep || time.Now().After(giveUp) {
			break
		}
		pause(ctx, lastWordsLookout)
	}
	return s.close()
}

// close stops feeding and closes all. What the terminal was not given stays noted in
// the tail for the next daemon.
func (s *sink) close() error {
	s.stop()
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.out.Close()
	if s.file != nil {
		err = errors.Join(err, s.file.Close())
	}
	if s.tail != nil {
		err = errors.Join(err, s.tail.Close())
	}
	if err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close console: %w", err)
	}
	return nil
}

// wake leaves word in c, once.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// pause waits for d, or for ctx to end.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
