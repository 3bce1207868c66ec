package hostile

import (
	"context"
	"fmt"

	"goxl/blkback/blkif"
)

// diskRingMisdeeds are those that break the ring, so that the backend closes.
func diskRingMisdeeds() []misdeed {
	all := []misdeed{
		{"disk/leave-in-the-middle", breakDisk(diskRO, leave)},
	}
	for _, j := range []struct {
		name  string
		index func(prod, size uint32) uint32
	}{
		{"one-too-many", func(prod, size uint32) uint32 { return prod + size + 1 }},
		{"far-ahead", func(prod, _ uint32) uint32 { return prod + 1<<31 }},
		{"backwards", func(prod, _ uint32) uint32 { return prod - 1 }},
	} {
		all = append(all, misdeed{"disk/index-" + j.name, breakDisk(diskRW, func(ctx context.Context, d *disk) (string, error) {
			if err := d.works(); err != nil { // so that the indices are not at their start
				return "", err
			}
			store(d.index(0), j.index(load(d.index(0)), d.ring.Size()))
			if err := d.g.Notify(d.port); err != nil {
				return "", err
			}
			return d.broken(ctx)
		})})
	}
	return append(all,
		misdeed{"disk/index-of-answers", breakDisk(diskRW, theirIndex)},
		misdeed{"disk/index-from-the-start", breakDisk(diskRW, brokenFromTheStart)},
		misdeed{"disk/read-into-the-ring", breakDisk(diskRW, readIntoRing)})
}

// theirIndex writes the backend's own indices. It does not depend on them.
func theirIndex(_ context.Context, d *disk) (string, error) {
	if err := d.works(); err != nil { // so that the backend has begun with the ring
		return "", err
	}
	answered := load(d.index(2))
	store(d.index(1), 0xDEADBEEF) // req_event
	store(d.index(2), 0xDEADBEEF) // rsp_prod
	store(d.index(3), 0)          // rsp_event
	d.put(request(blkif.Read, 0, d.seg(0, 0, 7)))
	if err := d.kick(); err != nil {
		return "", err
	}
	err := until("the index of answers to be right again", func() (bool, error) { return load(d.index(2)) == answered+1, nil })
	if err != nil {
		return "", err
	}
	if _, err := d.next(); err != nil {
		return "", err
	}
	return "the backend has its own", d.works()
}

// brokenFromTheStart connects with a ring that was broken before. The backend takes
// the ring where its answers end, so it finds more requests than fit.
func brokenFromTheStart(ctx context.Context, d *disk) (string, error) {
	if err := d.reset(ctx); err != nil {
		return "", err
	}
	store(d.index(0), 5000)
	store(d.index(2), 100)
	port, err := d.g.BindUnbound(domain0)
	if err != nil {
		return "", err
	}
	defer d.g.Unbind(port)
	if err := d.write(ctx, "ring-ref", text(d.mem.ref(0)), "event-channel", text(port), "state", initialised); err != nil {
		return "", err
	}
	return d.broken(ctx)
}

// leave closes while a ring of 16 pages is full of work, and takes its pages away.
func leave(ctx context.Context, d *disk) (string, error) {
	seg := d.seg(0, 0, 7)
	n := int(d.ring.Free())
	for i := range n {
		d.put(request(blkif.Read, uint64(i), seg, seg, seg, seg, seg, seg, seg, seg, seg, seg, seg))
	}
	if err := d.kick(); err != nil {
		return "", err
	}
	if err := d.reset(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d requests under way", n), nil
}

// readIntoRing has the disk read into the ring itself, so that its indices are words of
// the disk's.
func readIntoRing(ctx context.Context, d *disk) (string, error) {
	if err := d.works(); err != nil {
		return "", err
	}
	d.put(request(blkif.Read, 8, blkif.Segment{Ref: d.mem.ref(0), Last: 7}))
	if err := d.kick(); err != nil {
		return "", err
	}
	return d.broken(ctx)
}
