package xenstore

import (
	"context"
	"errors"

	"goxl/xenstore/wire"
)

// Batch is a list of requests that are sent together: the cost is that of one
// round trip instead of one for each. The store carries them out in their
// order; when one fails, the later ones are carried out nevertheless, so that
// requests belonging together go into a transaction. The zero value is empty.
type Batch struct {
	requests []request
	replies  []*Reply // nil for a request that only succeeds or fails
}

// Reply is the answer to a request of a Batch, valid once it was sent.
type Reply struct {
	payload []byte
	err     error
}

// Value returns the value that was read.
func (r *Reply) Value() (string, error) { return string(r.payload), r.err }

// Names returns the children that were listed. A list that needs more than one
// reply is an error here (E2BIG); List copes with it.
func (r *Reply) Names() ([]string, error) { return wire.Strings(r.payload), r.err }

// Payload returns the reply as it came.
func (r *Reply) Payload() ([]byte, error) { return r.payload, r.err }

var errNotSent = errors.New("batch was not sent")

func (b *Batch) add(r request, reply *Reply) *Reply {
	b.requests = append(b.requests, r)
	b.replies = append(b.replies, reply)
	return reply
}

// Len returns how many requests b has.
func (b *Batch) Len() int { return len(b.requests) }

// Write adds what Store.Write does.
func (b *Batch) Write(path, value string) {
	b.add(request{op: wire.OpWrite, path: path, body: value}, nil)
}

// Mkdir adds what Store.Mkdir does.
func (b *Batch) Mkdir(path string) { b.add(request{op: wire.OpMkdir, path: path}, nil) }

// Rm adds what Store.Rm does.
func (b *Batch) Rm(path string) { b.add(request{op: wire.OpRm, path: path}, nil) }

// SetPerms adds what Store.SetPerms does.
func (b *Batch) SetPerms(path string, perms []wire.Perm) { b.add(*setPerms(path, perms), nil) }

// Read adds a Read. Its failure is found in the reply only.
func (b *Batch) Read(path string) *Reply {
	return b.add(request{op: wire.OpRead, path: path}, &Reply{err: errNotSent})
}

// List adds a List. Its failure is found in the reply only.
func (b *Batch) List(path string) *Reply {
	return b.add(request{op: wire.OpDirectory, path: path}, &Reply{err: errNotSent})
}

// Do adds a request whose payload the caller encoded. Its failure is found in
// the reply only.
func (b *Batch) Do(op wire.Op, payload []byte) *Reply {
	return b.add(request{op: op, body: string(payload), raw: true}, &Reply{err: errNotSent})
}

// sendWindow bounds how many requests of one batch are under way.
const sendWindow = 128

// Send carries out all requests of b. It returns the error of the first one
// that failed, other than reads, whose errors stand in their replies. A batch
// may be sent again.
func (c commands) Send(ctx context.Context, b *Batch) error {
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	for from := 0; from < len(b.requests) && first == nil; from += sendWindow {
		c.sendSome(ctx, b, from, min(from+sendWindow, len(b.requests)), keep)
	}
	return first
}

// sendSome carries out requests from to to-1. A request that cannot be sent, or
// whose reply does not come, ends it.
func (c commands) sendSome(ctx context.Context, b *Batch, from, to int, keep func(error)) {
	var s *session
	under := make([]*call, 0, to-from)
	for i := from; i < to; i++ {
		r := &b.requests[i]
		var err error
		if s, err = c.target.bind(ctx, r); err != nil {
			keep(r.fail(err))
			break
		}
		cl := getCall()
		if err := s.start(r, cl); err != nil {
			putCall(cl)
			keep(err)
			break
		}
		under = append(under, cl)
	}
	for i, cl := range under {
		r, reply := &b.requests[from+i], b.replies[from+i]
		payload, err := s.wait(ctx, r, cl, nil)
		if reply != nil {
			reply.payload, reply.err = payload, err
		}
		var we wire.Error
		if err != nil && (reply == nil || !errors.As(err, &we)) {
			keep(err)
		}
	}
}
