package blkback

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"goxl/backends/backtest"
	"goxl/blkback/blkif"
	"goxl/blkback/mirror"
)

// mirrors has the daemon of a test answer at its socket.
func (d *daemon) mirrors() (dir string, stop func()) {
	d.t.Helper()
	dir = filepath.Join(d.dir, "run")
	stop, err := mirror.Serve(dir, d.drv, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return dir, stop
}

// written is what was written since the last time, as numbers of blocks.
func written(t *testing.T, c *mirror.Client) (list []int) {
	t.Helper()
	s := make(mirror.Set, len(c.NewSet()))
	if err := c.Dirty(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for i := range c.Blocks() {
		if s.Has(i) {
			list = append(list, i)
		}
	}
	return list
}

// TestMirror looks at what a guest writes, and that nothing else is told.
func TestMirror(t *testing.T) {
	d := startDaemon(t)
	_, image := d.addDisk(nil)
	dir, stop := d.mirrors()
	defer func() { stop() }()
	f := d.connect(1, 1)[0]
	d.Await(d.back("state"), "4")
	frontWrite(f.g, "state", 4)
	list, err := mirror.Disks(t.Context(), dir)
	if err != nil || len(list) != 1 || list[0] != (mirror.Disk{ID: mirror.ID{Dom: 7, Dev: vdev}, Path: image, Format: "raw", Size: 4 << 20}) {
		t.Fatalf("it serves %+v, %v", list, err)
	}
	c, err := mirror.Open(t.Context(), dir, list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.Blocks() != 64 || c.NewSet().Len() != 64 {
		t.Errorf("%d blocks", c.Blocks())
	}
	p := guestPages(f.g, 4)
	copy(p[0].Bytes, "new")
	for _, tt := range []struct {
		what string
		r    blkif.Request
		want []int
	}{
		{"a read", f.data(blkif.Read, 128, whole(p[1:])), nil},
		{"a flush", blkif.Request{Op: blkif.Flush}, nil},
		{"a write", f.data(blkif.Write, 256, whole(p[:1])), []int{2}},
		{"a write of two blocks", f.data(blkif.Write, 508, whole(p[:2])), []int{3, 4}},
		{"the last sectors", f.data(blkif.Write, 8184, whole(p[:1])), []int{63}},
		{"a discard", blkif.Request{Op: blkif.Discard, Sector: 1280, Sectors: 128}, []int{10}},
		{"a write that is refused", f.data(blkif.Write, 8192, whole(p[:1])), nil},
	} {
		f.do(tt.r)
		if got := written(t, c); len(got) != len(tt.want) || len(got) > 0 && (got[0] != tt.want[0] || got[len(got)-1] != tt.want[len(tt.want)-1]) {
			t.Errorf("%s: blocks %v, want %v", tt.what, got, tt.want)
		}
	}
	data, zero, err := c.Read(t.Context(), 2, 3)
	if err != nil || zero != 0 || len(data) != 3*mirror.MinBlock || !bytes.HasPrefix(data, []byte("new")) {
		t.Errorf("read %d bytes, zero %#x, %v", len(data), zero, err)
	}
	if data, zero, err := c.Read(t.Context(), 9, 3); err != nil || zero != 2 || len(data) != 2*mirror.MinBlock {
		t.Errorf("around the discarded block: %d bytes, zero %#x, %v", len(data), zero, err)
	}
	if err := c.Settle(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := mirror.Open(t.Context(), dir, list[0].ID); err == nil || errors.Is(err, mirror.ErrLost) {
		t.Errorf("a second copy: %v", err)
	}

	// The daemon ends and comes back: what it had noted is lost, and that shows.
	stop()
	d.stop()
	d.run()
	_, stop = d.mirrors()
	if err := c.Settle(t.Context()); !errors.Is(err, mirror.ErrLost) {
		t.Errorf("after a restart: %v", err)
	}
	f.do(f.data(blkif.Write, 0, whole(p[:1])))
	again, err := mirror.Open(t.Context(), dir, list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	f.do(f.data(blkif.Write, 128, whole(p[:1])))
	if got := written(t, again); len(got) != 1 || got[0] != 1 {
		t.Errorf("of the new daemon: blocks %v", got)
	}
	// Its end is the end of the notes, so that another copy may begin.
	again.Close()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		third, err := mirror.Open(t.Context(), dir, list[0].ID)
		if err == nil {
			third.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(image, 8<<20); err != nil {
		t.Fatal(err)
	}
	frontWrite(f.g, "state", 6)
	d.Await(d.back("state"), "6")
}

// TestMirrorConverges copies a disk in rounds while its guest writes, with eight writes
// under way at a time, then lets the guest stand: the copy is the disk.
func TestMirrorConverges(t *testing.T) {
	d := startDaemon(t)
	_, image := d.addDisk(nil)
	dir, stop := d.mirrors()
	defer stop()
	f := d.connect(1, 1)[0]
	d.Await(d.back("state"), "4")
	frontWrite(f.g, "state", 4)
	c, err := mirror.Open(t.Context(), dir, mirror.ID{Dom: 7, Dev: vdev})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var suspend atomic.Bool
	stands := make(chan struct{})
	go func() { // the guest, which leaves its last requests unanswered
		defer close(stands)
		r := rand.New(rand.NewPCG(1, 2))
		p := guestPages(f.g, 8)
		var sent []uint64
		for n := 0; !suspend.Load(); n++ {
			if len(sent) == 8 {
				f.await(sent[0])
				sent = sent[1:]
			}
			b := p[n%8].Bytes
			for i := range b {
				b[i] = byte(r.Uint32())
			}
			q := f.data(blkif.Write, r.Uint64N(8192-8), whole(p[n%8:n%8+1]))
			sent = append(sent, f.send(&q))
			f.push()
		}
	}()
	out := make([]byte, 4<<20)
	copyAll := func(s mirror.Set) {
		for i, n := s.Next(0, c.Most()); n > 0; i, n = s.Next(i+n, c.Most()) {
			data, zero, err := c.Read(t.Context(), i, n)
			if err != nil {
				t.Fatal(err)
			}
			for k := range n {
				to := out[(i+k)*mirror.MinBlock:][:mirror.MinBlock]
				if zero>>k&1 != 0 {
					clear(to)
				} else {
					data = data[copy(to, data):]
				}
			}
		}
	}
	set, rounds := c.NewSet(), 0
	for range 20 {
		copyAll(set)
		clear(set)
		if err := c.Dirty(t.Context(), set); err != nil {
			t.Fatal(err)
		}
		if set.Len() > 0 {
			rounds++
		}
	}
	suspend.Store(true)
	<-stands
	if err := c.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Dirty(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	copyAll(set)
	want, err := os.ReadFile(image)
	if err != nil || !bytes.Equal(out, want) || rounds == 0 {
		t.Errorf("the copy is the disk: %t; the guest wrote in %d rounds; %v", bytes.Equal(out, want), rounds, err)
	}
	frontWrite(f.g, "state", 6)
	d.Await(d.back("state"), "6")
}

// TestSettle waits for a write that the host holds up, and for one that the guest has put
// and told nobody of.
func TestSettle(t *testing.T) {
	d := &memDisk{b: make([]byte, 1<<20), gate: make(chan struct{})}
	m := backtest.New(t)
	f := newFrontRing(t, m.Guest(7), blkif.X86_64, 1)
	q := testQueue(t, m, f, d, testJournal(t, f), false)
	q.rest = newRest()
	running(t, q)
	p := guestPages(f.g, 1)
	r := f.data(blkif.Write, 0, whole(p))
	id := f.send(&r)
	f.ring.Publish() // no event
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := q.settle(ctx); !errors.Is(err, errBusy) {
		t.Errorf("while the host holds it up: %v", err)
	}
	d.mu.Lock()
	close(d.gate)
	d.gate = nil
	d.mu.Unlock()
	if err := q.settle(t.Context()); err != nil {
		t.Error(err)
	}
	if f.poll() != 1 || f.got[id].Status != blkif.OK {
		t.Errorf("after that there is %v", f.got)
	}
}
