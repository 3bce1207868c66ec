package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// TestScripts runs testdata/script: xl on a host in memory, 4.17 with a domain 0
// of which xenstore knows the name. Beside xl there are
//
//	domain ID NAME       adds a paused PV guest
//	store PATH VALUE     writes a node; "store PATH" alone removes it
//	look PATH VALUE      checks one
//	obeys ID REASON      has a guest acknowledge the next request and shut down
//	status N             checks the exit status of the last xl
//	kept NAME N TEXT     leaves what the console daemon keeps of the Nth last domain
//	saved FILE AT        writes a saved PVH guest, damaged at byte AT unless that is -1
func TestScripts(t *testing.T) {
	dir, err := filepath.Abs("testdata/script")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:   dir,
		Setup: setupScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"xl": scriptXL, "domain": scriptDomain, "store": scriptStore, "look": scriptLook,
			"obeys": scriptObeys, "status": scriptStatus, "saved": scriptSaved,
			"kept": scriptKept,
		},
		UpdateScripts: os.Getenv("UPDATE") != "",
	})
}

// scriptHost is what one script works on.
type scriptHost struct {
	*fakeMachine
	client *xenstore.Client
	status int
	conf   string
}

type hostKey struct{}

func setupScript(env *testscript.Env) error {
	f := newFake(env.T().(testing.TB), 17)
	client, err := f.dial()
	if err != nil {
		return err
	}
	env.Defer(func() { client.Close() })
	h := &scriptHost{fakeMachine: f, client: client, conf: filepath.Join(env.WorkDir, "xl.conf")}
	env.Values[hostKey{}] = h
	if err := client.Write(context.Background(), "/local/domain/0/name", "Domain-0"); err != nil {
		return err
	}
	if err := client.Write(context.Background(), "/local/pool/0/name", "Pool-0"); err != nil {
		return err
	}
	for _, dir := range []string{"xen", "lock"} {
		if err := os.MkdirAll(filepath.Join(f.dir, dir), 0o755); err != nil {
			return err
		}
	}
	if _, err := os.Stat(h.conf); errors.Is(err, os.ErrNotExist) {
		return os.WriteFile(h.conf, nil, 0o600)
	}
	return nil
}

// workDir is held while the process is in a script's directory: scripts run at
// the same time.
var workDir sync.Mutex

func hostOf(ts *testscript.TestScript) *scriptHost { return ts.Value(hostKey{}).(*scriptHost) }

func scriptXL(ts *testscript.TestScript, neg bool, args []string) {
	h := hostOf(ts)
	workDir.Lock()
	defer workDir.Unlock()
	dir, err := os.Getwd()
	ts.Check(err)
	ts.Check(os.Chdir(ts.MkAbs(".")))
	defer os.Chdir(dir)
	var out, errs bytes.Buffer
	h.status = run(context.Background(), append([]string{"xl"}, args...), surroundings{
		stdout: &out, stderr: &errs, conf: h.conf,
		release: func() release { return 17 }, connect: h.connect,
	})
	ts.Stdout().Write(out.Bytes())
	ts.Stderr().Write(errs.Bytes())
	switch {
	case h.status == 0 && neg:
		ts.Fatalf("xl succeeded")
	case h.status != 0 && !neg:
		ts.Fatalf("xl failed with status %d: %s", h.status, errs.String())
	}
}

func scriptStatus(ts *testscript.TestScript, _ bool, args []string) {
	if got := strconv.Itoa(hostOf(ts).status); got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}

func scriptDomain(ts *testscript.TestScript, _ bool, args []string) {
	h := hostOf(ts)
	n, err := strconv.ParseUint(args[0], 10, 15)
	ts.Check(err)
	h.xen.AddDomain(abi.DomID(n))
	info, err := h.xen.Handle().DomainInfo(abi.DomID(n))
	ts.Check(err)
	dir := fmt.Sprintf("/local/domain/%d", n)
	for path, value := range map[string]string{
		dir + "/name": args[1], dir + "/vm": "/vm/" + info.Handle.String(), "/vm/" + info.Handle.String() + "/name": args[1],
		dir + "/control/shutdown": "", fmt.Sprintf("/libxl/%d/type", n): "pv",
	} {
		ts.Check(h.client.Write(context.Background(), path, value))
	}
}

func scriptStore(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 1 {
		ts.Check(hostOf(ts).client.Rm(context.Background(), args[0]))
		return
	}
	ts.Check(hostOf(ts).client.Write(context.Background(), args[0], args[1]))
}

func scriptLook(ts *testscript.TestScript, _ bool, args []string) {
	got, err := hostOf(ts).client.Read(context.Background(), args[0])
	ts.Check(err)
	if got != args[1] {
		ts.Fatalf("%s is %q, want %q", args[0], got, args[1])
	}
}

func scriptObeys(ts *testscript.TestScript, _ bool, args []string) {
	h := hostOf(ts)
	n, err := strconv.ParseUint(args[0], 10, 15)
	ts.Check(err)
	reason, err := strconv.ParseUint(args[1], 10, 8)
	ts.Check(err)
	client, err := h.dial()
	ts.Check(err)
	path := fmt.Sprintf("/local/domain/%d/control/shutdown", n)
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	ts.Defer(func() { cancel(); <-done; client.Close() })
	go func() {
		defer close(done)
		if _, err := client.Await(ctx, path, func(v string, _ bool) bool { return v != "" }); err != nil {
			return
		}
		client.Write(ctx, path, "")
		h.xen.Shutdown(abi.DomID(n), abi.ShutdownReason(reason))
		h.store.Shutdown(abi.DomID(n))
	}()
}
