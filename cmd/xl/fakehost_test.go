package main

import (
	"context"
	"testing"

	"golang.org/x/sys/unix"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
	"goxl/xenstore/server"
)

// bareXen is a Xen that says its release and knows nothing else: enough for what
// does not depend on domains.
type bareXen struct {
	xenctrl.System
	r release
}

func (x *bareXen) Hypercall(op uint64, args [5]uint64) (int64, error) {
	switch {
	case op == abi.OpXenVersion && args[0] == abi.VerVersion:
		return 4<<16 | int64(x.r), nil
	case op == abi.OpDomctl, op == abi.OpSysctl:
		return 0, nil
	}
	return 0, unix.ENOSYS
}

func (x *bareXen) Alloc(pages int) (xenctrl.Buffer, error) {
	return xenctrl.NewBuffer(4096, make([]byte, pages*abi.PageSize)), nil
}
func (x *bareXen) Free(xenctrl.Buffer) error   { return nil }
func (x *bareXen) Syscalls() map[string]uint64 { return nil }
func (x *bareXen) Close() error                { return nil }

// fakeHost is a host with a bare Xen of release r and an empty xenstore.
func fakeHost(t testing.TB, r release) *host {
	t.Helper()
	xen, err := xenctrl.New(&bareXen{r: r})
	if err != nil {
		t.Fatal(err)
	}
	srv := server.New(server.Options{})
	t.Cleanup(func() { srv.Close() })
	store, err := xenstore.Dial(context.Background(), xenstore.WithConn(srv.Pipe(0)))
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(xen, store)
	h.lockDir = t.TempDir()
	return h
}
