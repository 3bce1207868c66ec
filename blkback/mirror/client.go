package mirror

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// ErrLost is a connection that has ended: blkback ended, or was killed. What it has noted
// is lost with it.
var ErrLost = errors.New("the connection to blkback is lost, and with it what it has noted of the disk")

// ErrAbsent is a blkback that does not run.
var ErrAbsent = errors.New("blkback does not run here")

// Client is a disk that is being copied. It is for one goroutine.
type Client struct {
	conn  net.Conn
	r     *bufio.Reader
	disk  Disk
	block int64
	buf   []byte
	err   error // what ended the connection
}

// Disks lists the disks that the blkback with that state folder serves.
func Disks(ctx context.Context, dir string) ([]Disk, error) {
	c, err := dial(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	a, err := c.ask(ctx, &request{Op: opList}, 0)
	return a.Disks, err
}

// Open begins to note what is written to a disk, until Close.
func Open(ctx context.Context, dir string, id ID) (*Client, error) {
	c, err := dial(ctx, dir)
	if err != nil {
		return nil, err
	}
	a, err := c.ask(ctx, &request{Op: opOpen, ID: id}, 0)
	if err == nil && (a.Disk == nil || a.Disk.ID != id) {
		err = errMessage
	}
	if err == nil {
		c.disk = *a.Disk
		c.block, err = BlockSize(c.disk.Size)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func dial(ctx context.Context, dir string) (*Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", Socket(dir))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAbsent, err)
	}
	return &Client{conn: conn, r: bufio.NewReaderSize(conn, 64<<10)}, nil
}

// Disk is which disk it is.
func (c *Client) Disk() Disk { return c.disk }

// BlockSize is that of its blocks, in bytes; the last one may be shorter.
func (c *Client) BlockSize() int64 { return c.block }

// Blocks is how many there are.
func (c *Client) Blocks() int { return blocksOf(c.disk.Size, c.block) }

// NewSet is the set of all its blocks.
func (c *Client) NewSet() Set { return NewSet(c.Blocks()) }

// Dirty adds to s what was written since the last call, or since Open.
func (c *Client) Dirty(ctx context.Context, s Set) error {
	want := 8 * ((c.Blocks() + 63) / 64)
	a, err := c.ask(ctx, &request{Op: opDirty}, want)
	if err != nil {
		return err
	}
	if a.Bytes != want {
		return c.fail(fmt.Errorf("%w: a set of %d bytes", errMessage, a.Bytes))
	}
	for i := range s {
		s[i] |= binary.LittleEndian.Uint64(c.buf[8*i:])
	}
	if n := c.Blocks(); n%64 != 0 {
		s[len(s)-1] &= 1<<(n%64) - 1
	}
	return nil
}

// Most is how many blocks one Read may be of.
func (c *Client) Most() int { return int(min(64, MostRead/c.block)) }

// Read reads count blocks from block first on. Bit i of zero says that block first+i
// holds zeroes; data has the others, and is good until the next call.
func (c *Client) Read(ctx context.Context, first, count int) (data []byte, zero uint64, err error) {
	most := int(max(0, min(int64(count)*c.block, c.disk.Size-int64(first)*c.block)))
	a, err := c.ask(ctx, &request{Op: opRead, First: first, Count: count}, most)
	if err != nil {
		return nil, 0, err
	}
	want := 0
	for i := range count {
		if a.Zero>>i&1 == 0 {
			want += int(min(c.block, c.disk.Size-int64(first+i)*c.block))
		}
	}
	if a.Bytes != want {
		return nil, 0, c.fail(fmt.Errorf("%w: %d bytes, want %d", errMessage, a.Bytes, want))
	}
	return c.buf[:want], a.Zero, nil
}

// Settle waits until nothing of what the guest asked for is under way any more. The
// guest has to stand.
func (c *Client) Settle(ctx context.Context) error {
	_, err := c.ask(ctx, &request{Op: opSettle}, 0)
	return err
}

// Close ends the notes. It may be called twice.
func (c *Client) Close() error {
	if c.err == nil {
		c.err = net.ErrClosed
	}
	return c.conn.Close()
}

// askLimit is how long blkback may take for an answer: a disk may be slow.
const askLimit = 2 * time.Minute

// ask asks, and reads what follows the answer, at most so many bytes, into buf.
func (c *Client) ask(ctx context.Context, q *request, most int) (reply, error) {
	var a reply
	if c.err != nil {
		return a, c.err
	}
	line, err := appendLine(nil, q)
	if err != nil {
		return a, err
	}
	_ = c.conn.SetDeadline(time.Now().Add(askLimit))
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err = c.conn.Write(line); err == nil {
		err = readLine(c.r, mostLine, &a)
	}
	switch {
	case err != nil:
		return a, c.lost(ctx, err)
	case a.Bytes < 0 || a.Bytes > most:
		return a, c.fail(fmt.Errorf("%w: %d bytes follow, at most %d can", errMessage, a.Bytes, most))
	case a.Error != "":
		return a, fmt.Errorf("blkback: %s", a.Error)
	}
	if cap(c.buf) < a.Bytes {
		c.buf = make([]byte, a.Bytes)
	}
	c.buf = c.buf[:a.Bytes]
	if _, err := io.ReadFull(c.r, c.buf); err != nil {
		return a, c.lost(ctx, err)
	}
	return a, nil
}

// lost is a connection that ended while it was used.
func (c *Client) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return c.fail(context.Cause(ctx))
	}
	if errors.Is(err, errMessage) {
		return c.fail(err)
	}
	return c.fail(fmt.Errorf("%w: %w", ErrLost, err))
}

func (c *Client) fail(err error) error {
	c.err = err
	c.conn.Close()
	return err
}
