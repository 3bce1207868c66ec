package hostile

import (
	"context"
	"errors"
	"fmt"

	"goxl/blkback/blkif"
	"goxl/xenctrl/gnttab"
)

// diskMisdeeds are those against blkback.
func diskMisdeeds() []misdeed {
	all := []misdeed{
		{"disk/bad-requests", withDisk(diskRW, badRequests)},
		{"disk/bad-grants", withDisk(diskRW, badGrants)},
		{"disk/bad-indirect", withDisk(diskRW, badIndirect)},
		{"disk/write-read-only", withDisk(diskRO, writeReadOnly)},
		{"disk/read-only-page", withDisk(diskRW, readOnlyPage)},
		{"disk/same-page-twice", withDisk(diskRW, samePage)},
		{"disk/same-id", withDisk(diskRW, sameID)},
		{"disk/revoke", withDisk(diskRW, revoke)},
		{"disk/garbage", withDisk(diskRO, garbage)},
		{"disk/flip", withDisk(diskRO, flip)},
		{"disk/storm", withDisk(diskRW, diskStorm)},
		{"disk/hammer", withDisk(diskRO, hammer)},
		{"disk/greed", withDisk(diskRO, greed)},
	}
	return append(append(all, diskRingMisdeeds()...), diskNodeMisdeeds()...)
}

// refusedRequest is a request that the backend must answer with a status, and whose
// page it must not touch.
type refusedRequest struct {
	name string
	req  blkif.Request
	want blkif.Status
}

// expect makes each request and then a good one.
func (d *disk) expect(all []refusedRequest) (string, error) {
	for i := range d.data.b {
		d.data.b[i] = canary
	}
	for _, r := range all {
		s, err := d.ask(r.req)
		if err != nil {
			return "", fmt.Errorf("%s: %w", r.name, err)
		}
		if s != r.want {
			return "", fmt.Errorf("%s: status %d, want %d", r.name, s, r.want)
		}
		if err := untouched(d.data.b); err != nil {
			return "", fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return fmt.Sprintf("%d requests refused", len(all)), d.works()
}

func badRequests(_ context.Context, d *disk) (string, error) {
	one, end := d.seg(0, 0, 7), d.sectors
	count := func(op blkif.Op, n int) blkif.Request {
		r := request(op, 0, one, one, one, one, one, one, one, one, one, one, one)
		r.Count = n
		return r
	}
	discard := func(sector, n uint64) blkif.Request {
		return blkif.Request{Op: blkif.Discard, Sector: sector, Sectors: n}
	}
	noDiscard := blkif.Error
	if d.feature(context.Background(), "feature-discard") == 0 {
		noDiscard = blkif.Unsupported
	}
	secure := discard(0, 8)
	secure.Secure = true
	return d.expect([]refusedRequest{
		{"read at the end", request(blkif.Read, end, one), blkif.Error},
		{"read across the end", request(blkif.Read, end-7, one), blkif.Error},
		{"read at the last sector there can be", request(blkif.Read, 1<<64-1, one), blkif.Error},
		{"read at 2^55, whose byte is 0", request(blkif.Read, 1<<55, one), blkif.Error},
		{"write at the end", request(blkif.Write, end, one), blkif.Error},
		{"write across 2^64", request(blkif.Write, 1<<64-4, one), blkif.Error},
		{"barrier at the end", request(blkif.Barrier, end, one), blkif.Error},
		{"flush with data at the end", request(blkif.Flush, end, one), blkif.Error},
		{"no segments to read", count(blkif.Read, 0), blkif.Error},
		{"no segments to write", count(blkif.Write, 0), blkif.Error},
		{"12 segments", count(blkif.Read, 12), blkif.Error},
		{"255 segments to read", count(blkif.Read, 255), blkif.Error},
		{"255 segments to write", count(blkif.Write, 255), blkif.Error},
		{"255 segments to flush", count(blkif.Flush, 255), blkif.Error},
		{"first behind last", request(blkif.Read, 0, d.seg(0, 5, 4)), blkif.Error},
		{"last beyond the page", request(blkif.Read, 0, d.seg(0, 0, 8)), blkif.Error},
		{"both beyond the page", request(blkif.Read, 0, d.seg(0, 255, 255)), blkif.Error},
		{"write first behind last", request(blkif.Write, 0, d.seg(0, 255, 0)), blkif.Error},
		{"second segment bad", request(blkif.Read, 0, one, d.seg(1, 0, 200)), blkif.Error},
		{"operation 4", request(4, 0, one), blkif.Unsupported},
		{"operation 7", request(7, 0, one), blkif.Unsupported},
		{"operation 255", request(255, 0, one), blkif.Unsupported},
		{"discard at the end", discard(end, 8), noDiscard},
		{"discard across 2^64", discard(1<<64-8, 16), noDiscard},
		{"discard of 2^64-1 sectors", discard(8, 1<<64-1), noDiscard},
		{"secure discard", secure, blkif.Unsupported},
	})
}

func badGrants(_ context.Context, d *disk) (string, error) {
	revoked, err := d.g.share(1, gnttab.ReadWrite)
	if err != nil {
		return "", err
	}
	if err := revoked.Close(); err != nil {
		return "", err
	}
	var all []refusedRequest
	for _, ref := range []gnttab.GrantRef{revoked.ref(0), notGranted, 1 << 20, 1 << 31, 1<<32 - 1} {
		seg := blkif.Segment{Ref: ref, First: 0, Last: 7}
		all = append(all,
			refusedRequest{fmt.Sprintf("read into page %d", ref), request(blkif.Read, 0, seg), blkif.Error},
			refusedRequest{fmt.Sprintf("write from page %d", ref), request(blkif.Write, 0, seg), blkif.Error})
	}
	return d.expect(all)
}

func badIndirect(_ context.Context, d *disk) (string, error) {
	table, err := d.g.share(1, gnttab.ReadWrite)
	if err != nil {
		return "", err
	}
	defer table.Close()
	indirect := func(op blkif.Op, n int, ref gnttab.GrantRef) blkif.Request {
		r := blkif.Request{Op: op, Indirect: true, Count: n}
		for i := range r.Pages {
			r.Pages[i] = ref
		}
		return r
	}
	good := table.ref(0)
	garbled := make([]blkif.Segment, 256)
	for i := range garbled {
		garbled[i] = blkif.Segment{Ref: gnttab.GrantRef(d.g.rand.Uint32()), First: uint8(d.g.rand.Uint32()), Last: uint8(d.g.rand.Uint32())}
	}
	blkif.EncodeSegments(table.b, garbled)
	said, err := d.expect([]refusedRequest{
		{"indirect with no segments", indirect(blkif.Read, 0, good), blkif.Error},
		{"indirect with 257 segments", indirect(blkif.Read, 257, good), blkif.Error},
		{"indirect with 4096 segments", indirect(blkif.Read, 4096, good), blkif.Error},
		{"indirect with 65535 segments", indirect(blkif.Write, 65535, good), blkif.Error},
		{"indirect flush", indirect(blkif.Flush, 1, good), blkif.Unsupported},
		{"indirect discard", indirect(blkif.Discard, 1, good), blkif.Unsupported},
		{"indirect indirect", indirect(6, 1, good), blkif.Unsupported},
		{"indirect operation 200", indirect(200, 1, good), blkif.Unsupported},
		{"table not granted", indirect(blkif.Read, 8, notGranted), blkif.Error},
		{"table in page 4294967295", indirect(blkif.Write, 8, 1<<32-1), blkif.Error},
		{"table of garbage", indirect(blkif.Read, 256, good), blkif.Error},
	})
	if err != nil {
		return said, err
	}
	for i := range garbled { // right in form, of pages that nobody granted
		garbled[i] = blkif.Segment{Ref: notGranted + gnttab.GrantRef(i), First: 0, Last: 7}
	}
	blkif.EncodeSegments(table.b, garbled)
	_, err = d.expect([]refusedRequest{
		{"table of pages not granted", indirect(blkif.Read, 256, good), blkif.Error},
		{"table of pages not granted, to write", indirect(blkif.Write, 256, good), blkif.Error},
	})
	return said, err
}

func writeReadOnly(_ context.Context, d *disk) (string, error) {
	one := d.seg(0, 0, 7)
	return d.expect([]refusedRequest{
		{"write", request(blkif.Write, 0, one), blkif.Error},
		{"barrier", request(blkif.Barrier, 0, one), blkif.Error},
		{"flush with data", request(blkif.Flush, 0, one), blkif.Error},
		{"discard", blkif.Request{Op: blkif.Discard, Sectors: 8}, blkif.Unsupported},
	})
}

// readOnlyPage lends a page that may be read only, for the data of a read.
func readOnlyPage(_ context.Context, d *disk) (string, error) {
	ro, err := d.g.share(1, gnttab.ReadOnly)
	if err != nil {
		return "", err
	}
	defer ro.Close()
	said, err := d.expect([]refusedRequest{
		{"read into a read-only page", request(blkif.Read, 0, blkif.Segment{Ref: ro.ref(0), Last: 7}), blkif.Error},
	})
	return said, errors.Join(err, untouched(ro.b))
}

// samePage lends one page for all segments, and for all requests of a full ring. What
// is in it then is the disk's, whichever came last.
func samePage(_ context.Context, d *disk) (string, error) {
	seg := d.seg(0, 0, 7)
	n := int(d.ring.Free())
	for i := range n {
		d.put(request(blkif.Read, uint64(i*88), seg, seg, seg, seg, seg, seg, seg, seg, seg, seg, seg))
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
	return fmt.Sprintf("%d requests of 11 times one page", n), errors.Join(innocent(d.data.b[:4096], d.sectors), d.works())
}

// sameID gives all requests one id. Each is owed an answer.
func sameID(_ context.Context, d *disk) (string, error) {
	n := int(d.ring.Free())
	for range n {
		d.nextID = 7
		d.put(request(blkif.Read, 0, d.seg(0, 0, 0)))
	}
	if err := d.kick(); err != nil {
		return "", err
	}
	for k := range n {
		err := until(fmt.Sprintf("answer %d of %d", k, n), func() (bool, error) {
			var b [16]byte
			ok, err := d.ring.Next(b[:])
			if ok && blkif.DecodeResponse(b[:]) != (blkif.Response{ID: 7, Op: blkif.Read}) {
				err = fmt.Errorf("answer %d is %v", k, blkif.DecodeResponse(b[:]))
			}
			return ok, err
		})
		if err != nil {
			return "", err
		}
	}
	d.nextID = 100
	return fmt.Sprintf("%d answers", n), d.works()
}

// revoke takes pages back while they are read and written.
func revoke(_ context.Context, d *disk) (string, error) {
	ok := 0
	const rounds = 60
	for i := range rounds {
		p, err := d.g.share(2, gnttab.ReadWrite)
		if err != nil {
			return "", err
		}
		one, two := blkif.Segment{Ref: p.ref(0), Last: 7}, blkif.Segment{Ref: p.ref(1), Last: 7}
		write := request(blkif.Write, d.sectors-16, one, two)
		d.put(request(blkif.Read, uint64(i), one, two))
		d.put(write)
		if err := d.kick(); err != nil {
			return "", err
		}
		for range i * 200 { // now sooner, now later
			load(d.index(2))
		}
		if err := p.Close(); err != nil {
			return "", err
		}
		all, err := d.answers(2)
		if err != nil {
			return "", err
		}
		for id, a := range all {
			if a.Status != blkif.OK && a.Status != blkif.Error {
				return "", fmt.Errorf("request %d got status %d", id, a.Status)
			}
			if a.Status == blkif.OK {
				ok++
			}
		}
	}
	return fmt.Sprintf("%d of %d requests came through", ok, 2*rounds), d.works()
}
