package server_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
	"goxl/xenstore/server"
	"goxl/xenstore/wire"
)

// host is a store with clients of several domains.
type host struct {
	*testing.T
	srv *server.Server
	ctx context.Context
}

func newHost(t *testing.T, o server.Options) *host {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	h := &host{t, server.New(o), ctx}
	t.Cleanup(func() { cancel(); h.srv.Close() })
	return h
}

func (h *host) client(dom abi.DomID) *xenstore.Client {
	h.Helper()
	c, err := xenstore.Dial(h.ctx, xenstore.WithConn(h.srv.Pipe(dom)))
	h.must(err)
	h.Cleanup(func() { c.Close() })
	return c
}

func (h *host) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// home makes domain dom's own directory, as a toolstack does.
func (h *host) home(c *xenstore.Client, dom abi.DomID) string {
	path := fmt.Sprintf("/local/domain/%d", dom)
	h.must(c.Mkdir(h.ctx, path))
	h.must(c.SetPerms(h.ctx, path, []wire.Perm{{Dom: dom}}))
	return path
}

// Who may know of a change is told of it, nobody else.
func TestWatchNeedsPermission(t *testing.T) {
	h := newHost(t, server.Options{})
	dom0, guest := h.client(0), h.client(7)
	h.must(dom0.Mkdir(h.ctx, "/open"))
	h.must(dom0.SetPerms(h.ctx, "/open", []wire.Perm{{Access: wire.Read}}))
	h.must(dom0.Mkdir(h.ctx, "/closed"))
	w, err := guest.Watch(h.ctx, "/")
	h.must(err)
	events := func(want ...string) {
		t.Helper()
		var got []string
		for range want {
			got = append(got, (<-w.Events()).Path)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	}
	events("/")
	h.must(dom0.Write(h.ctx, "/closed/a", ""))
	h.must(dom0.Write(h.ctx, "/open/a", "")) // inherits
	h.must(dom0.SetPerms(h.ctx, "/open/a", []wire.Perm{{Access: wire.None}}))
	h.must(dom0.Write(h.ctx, "/open/a", "parent readable"))
	h.must(dom0.Write(h.ctx, "/open/a/b", "neither it nor its parent readable"))
	h.must(dom0.Rm(h.ctx, "/closed"))
	h.must(dom0.Rm(h.ctx, "/open"))
	events("/open/a", "/open/a", "/open/a", "/open")
}

func TestSpecialWatchNeedsPermission(t *testing.T) {
	h := newHost(t, server.Options{})
	dom0, guest := h.client(0), h.client(7)
	w, err := guest.Watch(h.ctx, "@releaseDomain", xenstore.Token("r"))
	h.must(err)
	<-w.Events()
	h.srv.Shutdown(3) // not told
	if err := guest.SetPerms(h.ctx, "@releaseDomain", []wire.Perm{{Dom: 7}}); !errors.Is(err, xenstore.ErrPermission) {
		t.Errorf("guest sets permissions of a special watch: %v", err)
	}
	h.must(dom0.SetPerms(h.ctx, "@releaseDomain", []wire.Perm{{}, {Access: wire.Read, Dom: 7}}))
	h.srv.Shutdown(3)
	<-w.Events()
	select {
	case e := <-w.Events():
		t.Errorf("an event too many: %+v", e)
	case <-time.After(10 * time.Millisecond):
	}
}

func TestDestroyRemovesWhatADomainOwns(t *testing.T) {
	h := newHost(t, server.Options{})
	dom0, guest := h.client(0), h.client(7)
	h.home(dom0, 7)
	h.must(guest.Write(h.ctx, "data/x", "1"))
	h.must(dom0.Write(h.ctx, "/kept", ""))
	h.srv.Destroy(7)
	for _, path := range h.srv.Paths() {
		if wire.IsChild("/local/domain/7", path) {
			t.Errorf("%s is left", path)
		}
	}
	if _, err := guest.Read(h.ctx, "/"); !errors.Is(err, xenstore.ErrLost) {
		t.Errorf("the domain's connection: %v, want ErrLost", err)
	}
	if ok, err := dom0.Exists(h.ctx, "/kept"); !ok || err != nil {
		t.Errorf("dom0's node: %v, %v", ok, err)
	}
}

// A device model acts with the rights of the domain it serves.
func TestTargetGivesRights(t *testing.T) {
	h := newHost(t, server.Options{})
	dom0, model := h.client(0), h.client(8)
	home := h.home(dom0, 7)
	if err := model.Write(h.ctx, home+"/x", ""); !errors.Is(err, xenstore.ErrPermission) {
		t.Errorf("before: %v", err)
	}
	h.must(dom0.Introduce(h.ctx, 7, 1, 1))
	h.must(dom0.Introduce(h.ctx, 8, 1, 1))
	h.must(dom0.SetTarget(h.ctx, 8, 7))
	if err := model.Write(h.ctx, home+"/x", ""); err != nil {
		t.Errorf("after: %v", err)
	}
}

func TestQuotasOfGuests(t *testing.T) {
	h := newHost(t, server.Options{Quota: server.Quota{Nodes: 5, Transactions: 2, NodeBytes: 200, Perms: 2, TxNodes: 8}})
	dom0, guest := h.client(0), h.client(7)
	home := h.home(dom0, 7)
	many := make([]wire.Perm, 3)
	many[0].Dom = 7
	for name, err := range map[string]error{
		"long value":       guest.Write(h.ctx, "v", string(make([]byte, 300))),
		"long list":        guest.Write(h.ctx, "name-"+fmt.Sprintf("%0200d", 1), ""),
		"many permissions": guest.SetPerms(h.ctx, home, many),
		"in a transaction": guest.Update(h.ctx, func(tx *xenstore.Tx) error {
			var b xenstore.Batch
			for i := range 8 {
				b.Write(fmt.Sprint("n", i), "")
			}
			return tx.Send(h.ctx, &b)
		}),
		"many reads in one transaction": guest.Update(h.ctx, func(tx *xenstore.Tx) error {
			for i := range 20 {
				if _, err := tx.Exists(h.ctx, fmt.Sprint("n", i)); err != nil {
					return err
				}
			}
			return nil
		}),
	} {
		if !errors.Is(err, xenstore.ErrQuota) {
			t.Errorf("%s: %v, want ErrQuota", name, err)
		}
	}
	h.must(dom0.Write(h.ctx, home+"/v", string(make([]byte, 3000)))) // dom0 has none
	names, err := guest.List(h.ctx, home)
	if d := cmp.Diff([]string{"v"}, names); err != nil || d != "" {
		t.Errorf("what the refused requests left: %v\n%s", err, d)
	}
}

// The nodes that each domain owns are counted through all that may happen.
func TestNodeCountIsExact(t *testing.T) {
	h := newHost(t, server.Options{Quota: server.Quota{Nodes: 4}})
	dom0, guest := h.client(0), h.client(7)
	h.home(dom0, 7)
	full := func() bool {
		err := guest.Write(h.ctx, "last", "")
		if err == nil {
			h.must(guest.Rm(h.ctx, "last"))
		}
		return errors.Is(err, xenstore.ErrQuota)
	}
	for range 20 { // home and three more
		h.must(guest.Write(h.ctx, "a/b", ""))
		h.must(guest.Write(h.ctx, "c", ""))
		if !full() {
			t.Fatal("not full with four nodes")
		}
		h.must(guest.Rm(h.ctx, "a"))
		h.must(guest.Update(h.ctx, func(tx *xenstore.Tx) error {
			return errors.Join(tx.Write(h.ctx, "x", ""), tx.Rm(h.ctx, "x"), tx.Rm(h.ctx, "c"))
		}))
		if full() {
			t.Fatal("full with one node")
		}
	}
}

func TestTooLongAPacketEndsTheConnection(t *testing.T) {
	h := newHost(t, server.Options{})
	c := h.srv.Pipe(0)
	defer c.Close()
	go c.Write(wire.AppendHeader(nil, wire.Header{Op: wire.OpRead, ReqID: 1, Len: wire.MaxPayload + 1}))
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v, want the end of the connection", n, err)
	}
}

func FuzzRequests(f *testing.F) {
	add := func(ps ...wire.Packet) {
		var b []byte
		for _, p := range ps {
			b, _ = wire.AppendPacket(b, p)
		}
		f.Add(b)
	}
	add(wire.Packet{Op: wire.OpWrite, Payload: []byte("/a\x00v")}, wire.Packet{Op: wire.OpRm, Payload: []byte("/a\x00")})
	add(wire.Packet{Op: wire.OpTransactionStart, Payload: []byte{0}}, wire.Packet{Op: wire.OpMkdir, TxID: 1, Payload: []byte("/a/b\x00")},
		wire.Packet{Op: wire.OpTransactionEnd, TxID: 1, Payload: []byte("T\x00")})
	add(wire.Packet{Op: wire.OpDirectoryPart, Payload: []byte("/\x00-1\x00")}, wire.Packet{Op: wire.OpSetTarget, Payload: []byte("1\x002\x00")})
	f.Fuzz(func(t *testing.T, b []byte) {
		srv := server.New(server.Options{})
		for _, dom := range []abi.DomID{0, 7} {
			c := srv.Pipe(dom)
			go func() { c.Write(b); c.Close() }()
			buf := make([]byte, 4096)
			for {
				if _, err := c.Read(buf); err != nil {
					break
				}
			}
		}
		if _, ok := srv.Dump()["/"]; !ok {
			t.Error("the root is gone")
		}
		srv.Close()
	})
}
