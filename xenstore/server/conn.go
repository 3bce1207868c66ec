package server

import (
	"bufio"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"goxl/xenctrl/abi"
	"goxl/xenstore/wire"
)

// maxQueued bounds what is kept for a client that does not read: then it is
// thrown out.
const maxQueued = 64 << 20

// conn is a connection of one domain. Its fields belong to the server's mutex,
// the queue to its own.
type conn struct {
	net.Conn
	dom     abi.DomID
	base    string // of relative paths
	watches []*watch
	txs     map[uint32]*transaction
	lastTx  uint32
	before  func(wire.Op) syscall.Errno // nil: requests are never refused out of hand

	mu   sync.Mutex
	out  []byte
	over bool
	wake chan struct{}
}

// attach serves c as a connection of domain dom.
func (s *Server) attach(nc net.Conn, dom abi.DomID) { s.attachBefore(nc, dom, nil) }

func (s *Server) attachBefore(nc net.Conn, dom abi.DomID, before func(wire.Op) syscall.Errno) {
	c := &conn{
		Conn: nc, dom: dom, base: domainPath(dom), before: before,
		txs: make(map[uint32]*transaction), wake: make(chan struct{}, 1),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		nc.Close()
		return
	}
	s.conns = append(s.conns, c)
	s.wg.Go(c.write)
	s.wg.Go(func() {
		s.serve(c)
		s.mu.Lock()
		defer s.mu.Unlock()
		c.close()
		s.conns = slices.DeleteFunc(s.conns, func(o *conn) bool { return o == c })
	})
}

// privileged reports whether c is dom0's, which bypasses permissions and quotas.
func (c *conn) privileged() bool { return c.dom == 0 }

// serve handles requests until the connection ends or breaks the protocol.
func (s *Server) serve(c *conn) {
	in := wire.NewReader(bufio.NewReader(c.Conn), wire.MaxPayload)
	for {
		p, err := in.Next()
		if err != nil {
			return
		}
		if done := s.handle(c, p); done != nil {
			done()
		}
	}
}

// send queues a packet without blocking.
func (c *conn) send(p wire.Packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return
	}
	out, err := wire.AppendPacket(c.out, p)
	if err != nil {
		return // an event too long to be sent is dropped, as by the daemon
	}
	c.out = out
	if len(c.out) > maxQueued {
		c.end()
	}
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end()
}

// end stops the writer and unblocks the reader. c.mu is held.
func (c *conn) end() {
	if !c.over {
		c.over = true
		c.Conn.Close()
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

func (c *conn) write() {
	var b []byte
	for range c.wake {
		c.mu.Lock()
		b, c.out = c.out, b[:0]
		over := c.over
		c.mu.Unlock()
		if over {
			return
		}
		if _, err := c.Conn.Write(b); err != nil {
			c.close() // its reader sees it, too
			return
		}
	}
}

// absolute returns the full path of one that may be relative to the domain's own.
func (c *conn) absolute(path string) string {
	if strings.HasPrefix(path, "/") || strings.HasPrefix(path, "@") {
		return path
	}
	return c.base + "/" + path
}

func domainPath(dom abi.DomID) string { return "/local/domain/" + strconv.Itoa(int(dom)) }
