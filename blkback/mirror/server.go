package mirror

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"goxl/domains/logs"
)

// Source is what serves disks.
type Source interface {
	// Disks are those that are served now.
	Disks() []Disk
	// Mirror begins to note what is written to a disk.
	Mirror(ID) (Mirror, error)
}

// Mirror is a disk of which it is noted what is written. ReadAt reads what it holds now,
// for one goroutine.
type Mirror interface {
	io.ReaderAt
	// Disk is which disk it is, and its size now.
	Disk() Disk
	// Take is as Tracker's.
	Take(Set)
	// Settle waits until nothing that the guest asked for is under way any more. It
	// makes sense only of a guest that stands.
	Settle(context.Context) error
	// Close ends the notes.
	Close()
}

const (
	mostConns   = 256              // at a time
	mostRequest = 4 << 10          // bytes
	answerLimit = 30 * time.Second // until a client has taken an answer
	settleLimit = 10 * time.Second
)

// Serve answers at the socket in dir, which it makes, until stop is called.
func Serve(dir string, src Source, log *logs.Logger) (stop func(), err error) {
	path := Socket(dir)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("socket for copies of disks: %w", err)
	}
	l, err := net.Listen("unix", path) // in a folder of ours alone
	if err != nil {
		return nil, fmt.Errorf("socket for copies of disks: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("socket for copies of disks: %w", err), l.Close())
	}
	s := &server{src: src, log: log, slots: make(chan struct{}, mostConns)}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.tasks.Go(func() { s.accept(l) })
	return func() {
		s.end()
		l.Close()
		s.tasks.Wait()
	}, nil
}

type server struct {
	src   Source
	log   *logs.Logger
	slots chan struct{}
	tasks sync.WaitGroup
	ctx   context.Context
	end   context.CancelFunc
}

func (s *server) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) || s.ctx.Err() != nil {
			return
		}
		if err != nil { // too many open files, or the like
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-s.ctx.Done():
				return
			}
		}
		select {
		case s.slots <- struct{}{}:
			s.tasks.Go(func() { s.serve(c) })
		default:
			c.Close()
		}
	}
}

// serve answers one client until it is gone.
func (s *server) serve(c net.Conn) {
	defer func() { <-s.slots }()
	defer c.Close()
	stop := context.AfterFunc(s.ctx, func() { c.Close() })
	defer stop()
	cl := &client{server: s, r: bufio.NewReader(c)}
	defer cl.close()
	for {
		var q request
		if err := readLine(cl.r, mostRequest, &q); err != nil {
			return
		}
		a, data, err := cl.answer(&q)
		if err != nil {
			a, data = reply{Error: err.Error()}, nil
		}
		a.Bytes = len(data)
		line, err := appendLine(nil, &a)
		if err != nil {
			return
		}
		_ = c.SetWriteDeadline(time.Now().Add(answerLimit))
		if _, err := (&net.Buffers{line, data}).WriteTo(c); err != nil {
			return
		}
	}
}

// client is one connection.
type client struct {
	*server
	r    *bufio.Reader
	m    Mirror // nil: not yet
	size int64
	blk  int64
	buf  []byte
}

func (c *client) close() {
	if c.m != nil {
		d := c.m.Disk()
		c.m.Close()
		c.log.Info("copy of a disk ends", logs.Uint16("dom", d.Dom), logs.Int("dev", d.Dev))
	}
}

func (c *client) answer(q *request) (a reply, data []byte, err error) {
	if q.Op == opList {
		a.Disks = c.src.Disks()
		return a, nil, nil
	}
	if q.Op == opOpen {
		return c.open(q.ID)
	}
	if c.m == nil {
		return a, nil, fmt.Errorf("%w: %q of no disk", errMessage, q.Op)
	}
	if now := c.m.Disk().Size; now != c.size {
		return a, nil, fmt.Errorf("the disk had %d bytes, and now has %d", c.size, now)
	}
	switch q.Op {
	case opDirty:
		return a, c.dirty(), nil
	case opRead:
		a.Zero, data, err = c.read(q.First, q.Count)
		return a, data, err
	case opSettle:
		ctx, cancel := context.WithTimeout(c.ctx, settleLimit)
		defer cancel()
		return a, nil, c.m.Settle(ctx)
	}
	return a, nil, fmt.Errorf("%w: operation %q", errMessage, q.Op)
}

func (c *client) open(id ID) (a reply, data []byte, err error) {
	if c.m != nil {
		return a, nil, fmt.Errorf("%w: this connection has a disk", errMessage)
	}
	m, err := c.src.Mirror(id)
	if err != nil {
		return a, nil, err
	}
	d := m.Disk()
	block, err := BlockSize(d.Size)
	if err != nil {
		m.Close()
		return a, nil, err
	}
	c.m, c.size, c.blk = m, d.Size, block
	c.log.Info("copy of a disk begins", logs.Uint16("dom", d.Dom), logs.Int("dev", d.Dev), logs.String("path", d.Path))
	return reply{Disk: &d}, nil, nil
}

// dirty is the set of blocks that were written, as little-endian words.
func (c *client) dirty() []byte {
	s := make(Set, (blocksOf(c.size, c.blk)+63)/64)
	c.m.Take(s)
	b := make([]byte, 0, 8*len(s))
	for _, w := range s {
		b = binary.LittleEndian.AppendUint64(b, w)
	}
	return b
}

// read reads blocks that follow one another. Bit i of zero says that block first+i is
// all zeroes; it is left out of data.
func (c *client) read(first, count int) (zero uint64, data []byte, err error) {
	n := blocksOf(c.size, c.blk)
	if first < 0 || count < 1 || count > 64 || first > n-count || int64(count)*c.blk > MostRead {
		return 0, nil, fmt.Errorf("%w: %d blocks from %d of %d", errMessage, count, first, n)
	}
	if c.buf == nil {
		c.buf = make([]byte, MostRead)
	}
	off := int64(first) * c.blk
	b := c.buf[:min(int64(count)*c.blk, c.size-off)]
	if _, err := c.m.ReadAt(b, off); err != nil {
		return 0, nil, err
	}
	kept := 0
	for i := range count {
		at := i * int(c.blk)
		part := b[at:min(at+int(c.blk), len(b))]
		if isZero(part) {
			zero |= 1 << i
			continue
		}
		kept += copy(b[kept:], part)
	}
	return zero, b[:kept], nil
}

func isZero(b []byte) bool {
	for len(b) >= 32 {
		le := binary.LittleEndian
		if le.Uint64(b)|le.Uint64(b[8:])|le.Uint64(b[16:])|le.Uint64(b[24:]) != 0 {
			return false
		}
		b = b[32:]
	}
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}
