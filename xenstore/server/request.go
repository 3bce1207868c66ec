package server

import (
	"bytes"
	"strconv"
	"strings"
	"syscall"

	"goxl/xenstore/wire"
)

// request is one packet being handled. The server's mutex is held.
type request struct {
	*Server
	conn   *conn
	packet wire.Packet
	tx     *transaction // nil outside one
	view   view
	events []event // to be sent before the reply
	first  *event  // of a new watch, to be sent after it
	after  func()  // to be called without the lock
}

type event struct {
	to          *conn
	path, token string
}

func (e event) send() {
	e.to.send(wire.Packet{Op: wire.OpWatchEvent, Payload: wire.AppendStrings(nil, e.path, e.token)})
}

func (r *request) sendEvents() {
	for _, e := range r.events {
		e.send()
	}
}

type handler struct {
	run  func(*request) ([]byte, syscall.Errno)
	priv bool // for dom0 only
	noTx bool // the transaction id is ignored
}

// handlerOf returns what handles op.
func handlerOf(op wire.Op) (handler, bool) {
	switch op {
	case wire.OpDirectory:
		return handler{run: (*request).directory}, true
	case wire.OpDirectoryPart:
		return handler{run: (*request).directoryPart}, true
	case wire.OpRead:
		return handler{run: (*request).read}, true
	case wire.OpWrite:
		return handler{run: (*request).write}, true
	case wire.OpMkdir:
		return handler{run: (*request).mkdir}, true
	case wire.OpRm:
		return handler{run: (*request).rm}, true
	case wire.OpGetPerms:
		return handler{run: (*request).getPerms}, true
	case wire.OpSetPerms:
		return handler{run: (*request).setPerms}, true
	case wire.OpTransactionStart:
		return handler{run: (*request).startTransaction}, true
	case wire.OpTransactionEnd:
		return handler{run: (*request).endTransaction}, true
	case wire.OpWatch:
		return handler{run: (*request).watch, noTx: true}, true
	case wire.OpUnwatch:
		return handler{run: (*request).unwatch, noTx: true}, true
	case wire.OpResetWatches:
		return handler{run: (*request).resetWatches}, true
	case wire.OpGetDomainPath:
		return handler{run: (*request).getDomainPath}, true
	case wire.OpIntroduce:
		return handler{run: (*request).introduce, priv: true}, true
	case wire.OpRelease:
		return handler{run: (*request).release, priv: true}, true
	case wire.OpResume:
		return handler{run: (*request).resume, priv: true}, true
	case wire.OpIsIntroduced:
		return handler{run: (*request).isIntroduced, priv: true}, true
	case wire.OpSetTarget:
		return handler{run: (*request).setTarget, priv: true}, true
	case wire.OpControl:
		return handler{run: (*request).control, priv: true}, true
	}
	return handler{}, false
}

// handle carries out one packet and queues the events that it caused, then its
// reply: the order of the C daemon. It returns what is to be done without the lock, or nil.
func (s *Server) handle(c *conn, p wire.Packet) func() {
	var refused syscall.Errno
	if c.before != nil {
		refused = c.before(p.Op)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &request{Server: s, conn: c, packet: p, view: s.tree}
	payload, errno := []byte(nil), refused
	if refused == 0 {
		payload, errno = r.run()
	}
	reply := wire.Packet{Op: p.Op, ReqID: p.ReqID, TxID: p.TxID, Payload: payload}
	if errno == 0 && len(payload) > wire.MaxPayload {
		errno = syscall.E2BIG
	}
	if errno != 0 {
		reply.Op = wire.OpError
		reply.Payload = append([]byte(wire.ErrorOf(errno)), 0)
	}
	r.sendEvents()
	c.send(reply)
	if r.first != nil {
		r.first.send()
	}
	return r.after
}

func (r *request) run() ([]byte, syscall.Errno) {
	h, ok := handlerOf(r.packet.Op)
	switch {
	case !ok || r.opt.NoDirectoryPart && r.packet.Op == wire.OpDirectoryPart:
		return nil, syscall.ENOSYS
	case h.priv && !r.conn.privileged():
		return nil, syscall.EACCES
	}
	if id := r.packet.TxID; id != 0 && !h.noTx {
		if r.tx = r.conn.txs[id]; r.tx == nil {
			return nil, syscall.ENOENT
		}
		r.view = r.tx
		if !r.conn.privileged() && len(r.tx.used) >= r.quota.TxNodes && r.packet.Op != wire.OpTransactionEnd {
			return nil, syscall.ENOSPC
		}
	}
	return h.run(r)
}

// oneArg returns the payload if it is one string with its NUL at the end.
func (r *request) oneArg() (string, bool) {
	s, rest, ok := wire.CutString(r.packet.Payload)
	return s, ok && len(rest) == 0
}

// args returns the NUL-terminated strings of the payload.
func (r *request) args() []string {
	b := r.packet.Payload
	return wire.Strings(b[:bytes.LastIndexByte(b, 0)+1])
}

// validPath applies the daemon's rules to an absolute path.
func (r *request) validPath(path string) bool {
	if !strings.HasPrefix(path, "/") || wire.CheckPath(path) != nil {
		return false
	}
	limit := r.quota.Path
	if rest, ok := strings.CutPrefix(path, "/local/domain/"); ok {
		if id, _, ok := strings.Cut(rest, "/"); ok {
			if _, err := strconv.ParseUint(id, 10, 16); err == nil {
				limit += len("/local/domain/") + len(id) + 1
			}
		}
	}
	return len(path) <= limit
}

func ack() ([]byte, syscall.Errno) { return []byte("OK\x00"), 0 }

func decimal(v uint64) []byte { return append(strconv.AppendUint(nil, v, 10), 0) }
