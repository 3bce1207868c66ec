package main

import (
	"context"
	"path/filepath"
	"testing"

	files "goxl/domains/host"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
	"goxl/xenstore"
	"goxl/xenstore/server"
)

// fakeMachine is a Xen host in memory, with its files in a directory.
type fakeMachine struct {
	t     testing.TB
	xen   *xentest.Machine
	store *server.Server
	dir   string
}

func newFake(t testing.TB, r release) *fakeMachine {
	t.Helper()
	srv := server.New(server.Options{})
	t.Cleanup(func() { srv.Close() })
	v, _ := abi.Release(4, int(r))
	return &fakeMachine{t: t, xen: xentest.New(t, xentest.Config{Version: v}), store: srv, dir: t.TempDir()}
}

// dial returns a new connection to the fake's xenstore, as dom0.
func (f *fakeMachine) dial() (*xenstore.Client, error) {
	return xenstore.Dial(context.Background(), xenstore.WithConn(f.store.Pipe(0)))
}

// connect opens the host as a run of xl does; the run closes it.
func (f *fakeMachine) connect(context.Context) (*host, error) {
	xen, err := xenctrl.New(f.xen.System())
	if err != nil {
		return nil, err
	}
	store, err := f.dial()
	if err != nil {
		return nil, err
	}
	h := newHost(xen, store)
	p := files.DefaultPaths()
	for _, dir := range []*string{&p.Run, &p.Lib, &p.Log, &p.Scripts, &p.Hotplug, &p.XLLock} {
		*dir = filepath.Join(f.dir, filepath.Base(*dir))
	}
	h.files, h.lockDir = files.New(p), f.dir
	h.paths.Own, h.paths.State = filepath.Join(f.dir, "own"), filepath.Join(f.dir, "state")
	return h, nil
}
