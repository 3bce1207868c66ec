package hostile

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"goxl/backends/ring"
	"goxl/blkback/blkif"
	"goxl/xenctrl/gnttab"
)

// pick returns one of the numbers that parsers stumble over, or any.
func (d *disk) pick() uint64 {
	r := d.g.rand
	edges := [...]uint64{0, 1, 7, 8, 11, 12, 255, 256, 257, 512, 4096, 65535, d.sectors - 1, d.sectors, 1<<31 - 1, 1 << 31,
		1<<32 - 1, 1 << 55, 1<<63 - 1, 1 << 63, 1<<64 - 1}
	if n := r.IntN(len(edges) + 4); n < len(edges) {
		return edges[n]
	}
	return r.Uint64()
}

// pickRef returns a page of ours, or now and then one that is not granted. It must not
// be just any number: 0 and 1 are the pages of the guest's console and of its link to
// xenstore, and the rings have small ones, too. A backend that is told to reads the
// disk into them, and the guest has nobody to blame.
func (d *disk) pickRef() gnttab.GrantRef {
	r := d.g.rand
	wrong := [...]gnttab.GrantRef{notGranted, notGranted + 1, 1 << 15, 1 << 16, 1 << 31, 1<<32 - 1, gnttab.GrantRef(r.Uint32() | 1<<24)}
	if r.IntN(8) == 0 {
		return wrong[r.IntN(len(wrong))]
	}
	return d.data.ref(r.IntN(4))
}

// randomSlot is a request of no sense, or of little.
func (d *disk) randomSlot() (slot [ring.BlkSlot]byte) {
	r := d.g.rand
	le := binary.LittleEndian
	for i := 0; i < len(slot); i += 8 {
		le.PutUint64(slot[i:], d.pick())
	}
	slot[0] = byte(r.IntN(10))
	slot[1] = byte(r.IntN(14))
	if slot[0] == opIndirect {
		for i := range blkif.MaxPages {
			le.PutUint32(slot[28+4*i:], uint32(d.pickRef()))
		}
	} else {
		for i := range blkif.MaxSegments {
			s := slot[24+8*i:]
			le.PutUint32(s, uint32(d.pickRef()))
			s[4], s[5] = byte(r.IntN(9)), byte(r.IntN(9))
		}
	}
	if r.IntN(2) == 0 {
		le.PutUint64(slot[16:], r.Uint64()%d.sectors)
	}
	return slot
}

// opIndirect stands where a request's operation does, when that stands beside it.
const opIndirect = 6 // BLKIF_OP_INDIRECT

// garbage fills the ring with random requests again and again. Each gets an answer.
func garbage(_ context.Context, d *disk) (string, error) {
	const rounds = 8
	counts := map[blkif.Status]int{}
	for range rounds {
		n := int(d.ring.Free())
		for range n {
			slot := d.randomSlot()
			d.ring.Put(slot[:])
		}
		if err := d.kick(); err != nil {
			return "", err
		}
		for range n {
			a, err := d.next()
			if err != nil {
				return "", err
			}
			counts[a.Status]++
		}
		if err := innocent(d.data.b, d.sectors); err != nil {
			return "", err
		}
	}
	if counts[blkif.OK]+counts[blkif.Error]+counts[blkif.Unsupported] != rounds*int(d.ring.Size()) {
		return "", fmt.Errorf("answers with other statuses: %v", counts)
	}
	return fmt.Sprintf("%d done, %d refused, %d unknown", counts[blkif.OK], counts[blkif.Error], counts[blkif.Unsupported]), d.works()
}

// next waits for one answer, to any request.
func (d *disk) next() (blkif.Response, error) {
	var b [16]byte
	err := until("an answer", func() (bool, error) { return d.ring.Next(b[:]) })
	return blkif.DecodeResponse(b[:]), err
}

// flip changes requests, and the table of indirect ones, while they are read.
func flip(_ context.Context, d *disk) (string, error) {
	table, err := d.g.share(1, gnttab.ReadWrite)
	if err != nil {
		return "", err
	}
	defer table.Close()
	for i := range 256 {
		blkif.EncodeSegments(table.b[8*i:], []blkif.Segment{d.seg(i%4, 0, 7)})
	}
	var stop atomic.Bool
	done := make(chan int)
	go func() {
		flips := 0
		for x := uint64(88172645463325252); !stop.Load(); flips++ {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			slot := 64 + int(x>>8)%int(d.ring.Size())*ring.BlkSlot
			d.mem.b[slot+spared(int(x>>16)%ring.BlkSlot, 24, 4)] ^= byte(x >> 24) // a plain store, as any guest's
			table.b[spared(int(x>>32)%2048, 0, 8)] ^= byte(x >> 48)
			if flips%64 == 0 {
				runtime.Gosched()
			}
		}
		done <- flips
	}()
	answers := 0
	for end := time.Now().Add(attack); time.Now().Before(end) && err == nil; {
		n := int(d.ring.Free())
		for i := range n {
			r := request(blkif.Read, uint64(i), d.seg(0, 0, 7), d.seg(1, 0, 7), d.seg(2, 1, 3))
			if i%3 == 0 {
				r = blkif.Request{Op: blkif.Read, Indirect: true, Count: 200}
				r.Pages[0] = table.ref(0)
			}
			d.put(r)
		}
		if err = d.kick(); err != nil {
			break
		}
		for range n {
			// The answer stands in memory that is being flipped: only that it came counts.
			if _, err = d.next(); err != nil {
				break
			}
			answers++
		}
	}
	stop.Store(true)
	flips := <-done
	if err != nil {
		return "", err
	}
	if err := innocent(d.data.b, d.sectors); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d flips, %d answers", flips, answers), d.works()
}

// spared returns a place that is not in the low half of a grant reference; from the
// place first on there may be one every so many bytes. With another low half it could be
// that of a ring of ours, over which the backend would then write as it was told.
func spared(at, first, every int) int {
	if at >= first && (at-first)%every < 2 {
		return at + 2
	}
	return at
}

// storm sends events for nothing for a second, and reports how many.
func (g *guest) storm(ports ...gnttab.Port) (n int, err error) {
	for end := time.Now().Add(attack); time.Now().Before(end); n++ {
		if err := g.Notify(ports[n%len(ports)]); err != nil {
			return n, err
		}
	}
	return n, nil
}

func diskStorm(_ context.Context, d *disk) (string, error) {
	n, err := d.g.storm(d.port)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d events", n), d.works()
}

// hammer makes requests that are refused at once, as fast as it can.
func hammer(_ context.Context, d *disk) (string, error) {
	n := 0
	for end := time.Now().Add(attack); time.Now().Before(end); {
		for d.ring.Free() > 0 {
			d.put(request(9, 0))
		}
		if err := d.kick(); err != nil {
			return "", err
		}
		for {
			var b [16]byte
			ok, err := d.ring.Next(b[:])
			if err != nil {
				return "", err
			}
			if !ok {
				break
			}
			n++
		}
	}
	for d.ring.Free() < d.ring.Size() {
		if _, err := d.next(); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d requests", n), d.works()
}

// greedy is several times as many requests of the largest kind as a queue has memory
// for.
const greedy = 96

// greed asks for a megabyte with each of many requests, always into the same few pages.
func greed(_ context.Context, d *disk) (string, error) {
	table, err := d.g.share(1, gnttab.ReadWrite)
	if err != nil {
		return "", err
	}
	defer table.Close()
	for i := range 256 {
		blkif.EncodeSegments(table.b[8*i:], []blkif.Segment{d.seg(i%8, 0, 7)})
	}
	n := min(int(d.ring.Free()), greedy)
	for range n {
		r := blkif.Request{Op: blkif.Read, Indirect: true, Count: 256}
		r.Pages[0] = table.ref(0)
		d.put(r)
	}
	if err := d.kick(); err != nil {
		return "", err
	}
	all, err := d.answers(n)
	if err != nil {
		return "", err
	}
	for id, a := range all {
		if a.Status != blkif.OK {
			return "", fmt.Errorf("request %d got status %d", id, a.Status)
		}
	}
	return fmt.Sprintf("%d requests of 1 MiB", n), d.works()
}
