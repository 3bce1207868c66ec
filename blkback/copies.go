package blkback

import (
	"time"

	"goxl/blkback/blkif"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/gnttab"
)

// quietMost is how long copies may take, a thousand times what they do, that Go's runtime
// is not told of.
const quietMost = 100 * time.Millisecond

// addCopies adds the copies between the guest's pages and r's buffer.
func (q *queue) addCopies(r *request, toGrant bool) {
	at := 0
	for _, s := range r.segments {
		q.copies.Ops = append(q.copies.Ops, gnttab.Op{Grant: gnttab.Grant{Dom: q.dom, Ref: s.Ref},
			Offset: s.Offset(), Local: r.buf[at : at+s.Len()], ToGrant: toGrant})
		at += s.Len()
	}
}

// copied makes the copies of rs, and marks those as failed one of whose pages could
// not be copied: the guest's fault.
func (q *queue) copied(rs []*request) {
	err := q.copy()
	n := 0
	for _, r := range rs {
		ok := err == nil
		for range r.segments {
			ok = ok && q.copies.Ops[n].Status == abi.GrantOK
			n++
		}
		if !ok {
			r.status = blkif.Error
			q.stats.refused.Add(1)
		}
	}
}

// copy makes the copies. One that takes long, as when the guest's pages are paged out, is
// the last of which Go's runtime is not told.
func (q *queue) copy() error {
	if !q.copies.Quiet {
		return q.copies.Run()
	}
	begin := q.clock()
	err := q.copies.Run()
	q.copies.Quiet = q.clock()-begin < quietMost
	return err
}
