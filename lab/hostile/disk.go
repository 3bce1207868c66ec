package hostile

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"sync/atomic"
	"unsafe"

	"goxl/backends/ring"
	"goxl/blkback/blkif"
	"goxl/xenctrl/gnttab"
)

// The disks of this guest: one to read and write, and one to read only, so that
// anything at all may be asked of it.
const (
	diskRW = "vbd/51712" // xvda
	diskRO = "vbd/51728" // xvdb
)

// disk is a disk that we are connected to.
type disk struct {
	*device
	ring    *ring.Front
	mem     *pages // of the ring
	port    gnttab.Port
	data    *pages // for requests
	sectors uint64
	nextID  uint64
}

// connectDisk connects to a disk as a driver does: to the one to read and write with a
// ring of one page, to the other with the largest there is.
func (g *guest) connectDisk(ctx context.Context, name string) (_ *disk, err error) {
	order := 0
	if name == diskRO {
		order = 4
	}
	d := &disk{nextID: 1}
	if d.device, err = g.device(ctx, name); err != nil {
		return nil, err
	}
	if err := d.reset(ctx); err != nil {
		return nil, err
	}
	if d.mem, err = g.share(1<<order, gnttab.ReadWrite); err != nil {
		return nil, err
	}
	if d.data, err = g.share(16, gnttab.ReadWrite); err != nil {
		return nil, err
	}
	if d.port, err = g.BindUnbound(domain0); err != nil {
		return nil, err
	}
	if d.ring, err = ring.NewFront(d.mem.b, ring.BlkSlot); err != nil {
		return nil, err
	}
	if err := d.write(ctx, append(d.rings(), "event-channel", text(d.port), "protocol", "x86_64-abi", "state", initialised)...); err != nil {
		return nil, err
	}
	if _, err := d.await(ctx, connected); err != nil {
		return nil, err
	}
	d.sectors = d.feature(ctx, "sectors")
	return d, d.state(ctx, connected)
}

// rings is what a driver says of its ring's pages.
func (d *disk) rings() []string {
	refs := d.mem.Refs
	if len(refs) == 1 {
		return []string{"ring-ref", text(refs[0])}
	}
	nodes := []string{"ring-page-order", strconv.Itoa(bits.Len(uint(len(refs))) - 1)}
	for i, r := range refs {
		nodes = append(nodes, fmt.Sprintf("ring-ref%d", i), text(r))
	}
	return nodes
}

// close gives everything back.
func (d *disk) close() error {
	return errors.Join(d.g.Unbind(d.port), d.mem.Close(), d.data.Close())
}

// diskMisdeed is what is done to a connected disk.
type diskMisdeed func(context.Context, *disk) (string, error)

// withDisk makes a misdeed of one that leaves the disk connected: the next one has it
// as it is.
func withDisk(name string, do diskMisdeed) func(context.Context, *guest) (string, error) {
	return func(ctx context.Context, g *guest) (string, error) {
		d := g.disks[name]
		if d == nil {
			var err error
			if d, err = g.connectDisk(ctx, name); err != nil {
				return "", fmt.Errorf("connect: %w", err)
			}
			g.disks[name] = d
		}
		said, err := do(ctx, d)
		if err != nil {
			err = errors.Join(err, g.dropDisk(name))
		}
		return said, err
	}
}

// breakDisk makes a misdeed of one that wants a fresh connection, and breaks it.
func breakDisk(name string, do diskMisdeed) func(context.Context, *guest) (string, error) {
	return func(ctx context.Context, g *guest) (said string, err error) {
		if err := g.dropDisk(name); err != nil {
			return "", err
		}
		d, err := g.connectDisk(ctx, name)
		if err != nil {
			return "", fmt.Errorf("connect: %w", err)
		}
		defer func() { err = errors.Join(err, d.close()) }()
		return do(ctx, d)
	}
}

// dropDisk gives up a connection that is kept for the next misdeed.
func (g *guest) dropDisk(name string) error {
	d := g.disks[name]
	if d == nil {
		return nil
	}
	delete(g.disks, name)
	return d.close()
}

// index is one of the ring's first four words. Source: ring.h.
func (d *disk) index(i int) *uint32 { return (*uint32)(unsafe.Pointer(&d.mem.b[4*i])) }

// put puts a request on the ring and returns its id.
func (d *disk) put(r blkif.Request) uint64 {
	r.ID = d.nextID
	d.nextID++
	var slot [ring.BlkSlot]byte
	blkif.X86_64.Put(slot[:], &r, 0)
	d.ring.Put(slot[:])
	return r.ID
}

// kick shows the backend what was put.
func (d *disk) kick() error {
	d.ring.Publish()
	return d.g.Notify(d.port)
}

// answers waits for n answers, which must have nothing in them but an answer.
func (d *disk) answers(n int) (map[uint64]blkif.Response, error) {
	all := make(map[uint64]blkif.Response, n)
	return all, until(fmt.Sprintf("%d answers", n), func() (bool, error) {
		for len(all) < n {
			var b [ring.BlkSlot]byte
			ok, err := d.ring.Next(b[:])
			if err != nil || !ok {
				return false, err
			}
			for i, c := range b[:] {
				if (i == 9 || i >= 12) && c != 0 {
					return false, fmt.Errorf("byte %d of an answer is %#x, want 0 in what is padding", i, c)
				}
			}
			r := blkif.DecodeResponse(b[:])
			if _, twice := all[r.ID]; twice {
				return false, fmt.Errorf("request %d was answered twice", r.ID)
			}
			all[r.ID] = r
		}
		return true, nil
	})
}

// ask makes one request and returns the answer's status.
func (d *disk) ask(r blkif.Request) (blkif.Status, error) {
	id := d.put(r)
	if err := d.kick(); err != nil {
		return 0, err
	}
	all, err := d.answers(1)
	if err != nil {
		return 0, err
	}
	a, ok := all[id]
	if !ok {
		return 0, fmt.Errorf("the answer is to another request than %d", id)
	}
	return a.Status, nil
}

// seg is a segment of the disk's data pages.
func (d *disk) seg(page int, first, last uint8) blkif.Segment {
	return blkif.Segment{Ref: d.data.ref(page), First: first, Last: last}
}

// request is a plain request.
func request(op blkif.Op, sector uint64, segs ...blkif.Segment) blkif.Request {
	r := blkif.Request{Op: op, Sector: sector, Count: len(segs)}
	copy(r.Segments[:], segs)
	return r
}

// works makes sure that the disk still answers as it should: sectors 2 to 5 into the
// middle of a page, whose rest stays as it is.
func (d *disk) works() error {
	p := d.data.b[15*4096:]
	for i := range p {
		p[i] = canary
	}
	s, err := d.ask(request(blkif.Read, 2, d.seg(15, 1, 4)))
	switch {
	case err != nil:
		return fmt.Errorf("then a good request: %w", err)
	case s != blkif.OK:
		return fmt.Errorf("then a good request gets status %d", s)
	case string(p[512:5*512]) != string(patternOf(2, 4)):
		return errors.New("then a good request reads something else")
	}
	return errors.Join(untouched(p[:512]), untouched(p[5*512:]))
}

// broken makes sure that the backend has closed the disk for what we did to its ring,
// and serves it again when we begin anew.
func (d *disk) broken(ctx context.Context) (string, error) {
	why, err := d.refused(ctx)
	if err != nil {
		return "", err
	}
	if err := d.reset(ctx); err != nil {
		return "", err
	}
	return "closed: " + why, nil
}

func store(word *uint32, v uint32) { atomic.StoreUint32(word, v) }
func load(word *uint32) uint32     { return atomic.LoadUint32(word) }
