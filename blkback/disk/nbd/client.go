package nbd

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	magicRequest = 0x25609513 // NBD_REQUEST_MAGIC
	magicSimple  = 0x67446698 // NBD_SIMPLE_REPLY_MAGIC

	cmdRead  = 0
	cmdWrite = 1
	cmdDisc  = 2
	cmdFlush = 3
	cmdTrim  = 4

	maxInFlight = 64
)

// ErrClosed is a request after Close.
var ErrClosed = errors.New("the connection is closed")

// Client is a disk on a server. It may be used by many goroutines at once.
type Client struct {
	conn net.Conn
	e    Export
	free chan *slot

	sending sync.Mutex // held while a request is written
	head    [28]byte
	vectors [2][]byte

	mu    sync.Mutex // guards err and who waits for what
	slots [maxInFlight]*slot
	err   error // why there are no more replies

	ended chan struct{} // closed when the reader is gone
}

// slot is a request in flight. Its number and how often it was used are the cookie.
type slot struct {
	index, uses uint32
	busy        bool
	buf         []byte // that a read fills
	done        chan error
}

// Dial connects to a server and chooses the export of that name. The context bounds
// the connecting only.
func Dial(ctx context.Context, network, address, export string) (*Client, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	e, err := handshake(conn, export)
	if !stop() || err != nil {
		conn.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("nbd server %s: %w", address, err)
	}
	return newClient(conn, *e), nil
}

func newClient(conn net.Conn, e Export) *Client {
	c := &Client{conn: conn, e: e, free: make(chan *slot, maxInFlight), ended: make(chan struct{})}
	for i := range c.slots {
		c.slots[i] = &slot{index: uint32(i), done: make(chan error, 1)}
		c.free <- c.slots[i]
	}
	go c.receive()
	return c
}

// Export is what the server said of the disk.
func (c *Client) Export() Export { return c.e }

// Size is the length of the disk in bytes.
func (c *Client) Size() int64 { return c.e.Size }

// ReadAt fills p from byte off; the caller has checked the range.
func (c *Client) ReadAt(p []byte, off int64) (int, error) { return c.pieces(cmdRead, p, off) }

// WriteAt writes p at byte off; the caller has checked the range.
func (c *Client) WriteAt(p []byte, off int64) (int, error) { return c.pieces(cmdWrite, p, off) }

// pieces sends requests of a size that the server takes.
func (c *Client) pieces(cmd uint16, p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n := min(len(p)-done, c.e.MaxBlock)
		if err := c.do(cmd, off+int64(done), n, p[done:done+n]); err != nil {
			return done, err
		}
		done += n
	}
	return done, nil
}

// Flush asks the server to put all writes that it has acknowledged onto its medium.
func (c *Client) Flush() error {
	if c.e.ReadOnly {
		return nil
	}
	if !c.e.Flush {
		return fmt.Errorf("the nbd server cannot flush: %w", errors.ErrUnsupported)
	}
	return c.do(cmdFlush, 0, 0, nil)
}

// Discard tells the server that a range is not needed any more.
func (c *Client) Discard(off, n int64) error {
	if !c.e.Trim {
		return fmt.Errorf("the nbd server cannot discard: %w", errors.ErrUnsupported)
	}
	unit := int64(c.e.MinBlock)
	end := (off + n) / unit * unit
	off = (off + unit - 1) / unit * unit
	for off < end {
		n := min(end-off, 1<<30)
		if err := c.do(cmdTrim, off, int(n), nil); err != nil {
			return err
		}
		off += n
	}
	return nil
}

// Close tells the server and ends the connection. Requests in flight fail.
func (c *Client) Close() error {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = ErrClosed
	}
	c.mu.Unlock()
	if first {
		// A server that does not read any more must not keep us.
		c.conn.SetWriteDeadline(time.Now().Add(time.Second))
		c.sending.Lock()
		c.send(cmdDisc, 0, 0, 0, nil)
		c.sending.Unlock()
	}
	c.conn.Close()
	<-c.ended
	return nil
}

// do sends a request and waits for its reply.
func (c *Client) do(cmd uint16, off int64, n int, p []byte) error {
	s := <-c.free
	defer func() { c.free <- s }()
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return c.err
	}
	s.uses++
	s.busy, s.buf = true, nil
	if cmd == cmdRead {
		s.buf = p
	}
	cookie := uint64(s.uses)<<32 | uint64(s.index)
	c.mu.Unlock()

	data := p
	if cmd != cmdWrite {
		data = nil
	}
	c.sending.Lock()
	err := c.send(cmd, cookie, off, n, data)
	c.sending.Unlock()
	if err != nil {
		c.conn.Close() // the reader sees it and answers for all
	}
	// Only the reader ends a request: until then it may be writing to p.
	return <-s.done
}

// send writes one request; the caller holds sending.
func (c *Client) send(cmd uint16, cookie uint64, off int64, n int, data []byte) error {
	be := binary.BigEndian
	be.PutUint32(c.head[0:], magicRequest)
	be.PutUint16(c.head[4:], 0)
	be.PutUint16(c.head[6:], cmd)
	be.PutUint64(c.head[8:], cookie)
	be.PutUint64(c.head[16:], uint64(off))
	be.PutUint32(c.head[24:], uint32(n))
	if len(data) == 0 {
		_, err := c.conn.Write(c.head[:])
		return err
	}
	c.vectors = [2][]byte{c.head[:], data}
	v := net.Buffers(c.vectors[:])
	_, err := v.WriteTo(c.conn)
	return err
}

// receive reads replies until the connection ends, and then ends all requests.
func (c *Client) receive() {
	defer close(c.ended)
	r := bufio.NewReaderSize(c.conn, 16<<10)
	var err error
	for err == nil {
		err = c.receiveOne(r)
	}
	c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = fmt.Errorf("the connection to the nbd server is lost: %w", err)
	}
	for _, s := range c.slots {
		if s.busy {
			s.busy = false
			s.done <- c.err
		}
	}
}

// receiveOne reads one reply, with its data.
func (c *Client) receiveOne(r io.Reader) error {
	var h [16]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return err
	}
	be := binary.BigEndian
	if m := be.Uint32(h[:]); m != magicSimple {
		return fmt.Errorf("a reply begins with %#x", m)
	}
	cookie := be.Uint64(h[8:])
	s, err := c.waiting(cookie)
	if err != nil {
		return err
	}
	var result error
	if e := be.Uint32(h[4:]); e != 0 {
		result = serverError(e)
	} else if _, err := io.ReadFull(r, s.buf); err != nil {
		return err // s is still busy, and is ended with all the others
	}
	c.mu.Lock()
	s.busy, s.buf = false, nil
	c.mu.Unlock()
	s.done <- result
	return nil
}

// waiting is the request of a cookie.
func (c *Client) waiting(cookie uint64) (*slot, error) {
	i := uint32(cookie)
	if i < maxInFlight {
		c.mu.Lock()
		defer c.mu.Unlock()
		if s := c.slots[i]; s.busy && s.uses == uint32(cookie>>32) {
			return s, nil
		}
	}
	return nil, fmt.Errorf("a reply to a request %#x that nobody made", cookie)
}

// serverError is an error number of the protocol: those are Linux's.
func serverError(e uint32) error {
	switch errno := syscall.Errno(e); errno {
	case syscall.EPERM, syscall.EIO, syscall.ENOMEM, syscall.EINVAL, syscall.ENOSPC, syscall.EOVERFLOW,
		syscall.ENOTSUP, syscall.ESHUTDOWN:
		return fmt.Errorf("the nbd server says: %w", errno)
	}
	return fmt.Errorf("the nbd server says: error %d: %w", e, syscall.EINVAL)
}
