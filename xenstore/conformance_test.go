package xenstore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"goxl/xenstore"
	"goxl/xenstore/server"
	"goxl/xenstore/wire"
)

// conform checks that a store and the client agree on everything that Xen's own
// tools/tests/xenstore does (reads, writes and lists of several sizes, removal,
// transactions that are empty, commit, abort or conflict) and on what it leaves
// out: permissions, long lists, batches and watches. other is a second client of
// the same store; everything happens below base.
func conform(t *testing.T, c, other *xenstore.Client, base string) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // an emulated host is slow
	defer cancel()
	t.Cleanup(func() { c.Rm(context.Background(), base) })
	must(t, c.Mkdir(ctx, base))
	for _, tt := range []struct {
		name string
		f    func(t *testing.T, ctx context.Context, c, other *xenstore.Client, base string)
	}{
		{"values", conformValues}, {"long list", conformLongList}, {"transactions", conformTransactions},
		{"conflict", conformConflict}, {"counter", conformCounter}, {"permissions", conformPerms}, {"errors", conformErrors},
		{"watches", conformWatches}, {"model", conformModel},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := base + "/" + strings.ReplaceAll(tt.name, " ", "-")
			must(t, c.Mkdir(ctx, dir))
			tt.f(t, ctx, c, other, dir)
			must(t, c.Rm(ctx, dir))
		})
	}
}

func TestConformance(t *testing.T) {
	srv, c := newStore(t)
	conform(t, c, dial(t, srv, 0), "/conformance")
}

func TestConformanceOverSocket(t *testing.T) {
	srv := server.New(server.Options{})
	defer srv.Close()
	socket := filepath.Join(t.TempDir(), "s")
	must(t, srv.Listen(socket))
	var clients [2]*xenstore.Client
	for i := range clients {
		c, err := xenstore.Dial(testContext(t), xenstore.WithPath(socket))
		must(t, err)
		defer c.Close()
		clients[i] = c
	}
	conform(t, clients[0], clients[1], "/conformance")
}

// TestConformanceOfDaemon checks a daemon on this machine, whose socket
// XENSTORE_TEST_SOCKET names.
func TestConformanceOfDaemon(t *testing.T) {
	socket := os.Getenv("XENSTORE_TEST_SOCKET")
	if socket == "" {
		t.Skip("XENSTORE_TEST_SOCKET does not name a daemon's socket")
	}
	var clients [2]*xenstore.Client
	for i := range clients {
		c, err := xenstore.Dial(testContext(t), xenstore.WithPath(socket))
		must(t, err)
		t.Cleanup(func() { c.Close() })
		clients[i] = c
	}
	conform(t, clients[0], clients[1], "/goxl-conformance")
}

func conformValues(t *testing.T, ctx context.Context, c, other *xenstore.Client, dir string) {
	for _, size := range []int{0, 1, 2000} {
		v := strings.Repeat("\x00\xffab", size/4+1)[:size]
		must(t, c.Write(ctx, dir+"/v", v))
		if got, err := other.Read(ctx, dir+"/v"); got != v || err != nil {
			t.Errorf("%d bytes: read %d, %v", size, len(got), err)
		}
	}
	var want []string
	for i := range 10 {
		want = append(want, string(rune('a'+i)))
		must(t, c.Write(ctx, dir+"/list/"+want[i], ""))
	}
	got, err := other.List(ctx, dir+"/list")
	slices.Sort(got)
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	must(t, c.Rm(ctx, dir+"/list"))
	if ok, err := other.Exists(ctx, dir+"/list/a"); ok || err != nil {
		t.Errorf("below what was removed: %v, %v", ok, err)
	}
}

func conformLongList(t *testing.T, ctx context.Context, c, other *xenstore.Client, dir string) {
	const n = 60 // of 110 bytes: two replies
	var b xenstore.Batch
	want := make([]string, n)
	for i := range want {
		want[i] = fmt.Sprintf("child-%0104d", i)
		b.Mkdir(dir + "/" + want[i])
	}
	must(t, c.Send(ctx, &b))
	b = xenstore.Batch{}
	var there [n]*xenstore.Reply
	for i := range want {
		there[i] = b.Read(dir + "/" + want[i])
	}
	must(t, other.Send(ctx, &b))
	for i, r := range there {
		if _, err := r.Value(); err != nil {
			t.Fatalf("%s: %v", want[i], err)
		}
	}
	got, err := other.List(ctx, dir)
	if errors.Is(err, syscall.E2BIG) {
		t.Logf("this daemon cannot send it over a ring: %v", err)
		return
	}
	slices.Sort(got)
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
}

func conformTransactions(t *testing.T, ctx context.Context, c, other *xenstore.Client, dir string) {
	for _, commit := range []bool{true, false} {
		must(t, c.Write(ctx, dir+"/n", "a"))
		tx, err := c.Begin(ctx)
		must(t, err)
		must(t, tx.Write(ctx, dir+"/n", "b"))
		must(t, tx.Mkdir(ctx, dir+"/new"))
		must(t, tx.Rm(ctx, dir+"/new"))
		mine, err := tx.Read(ctx, dir+"/n")
		must(t, err)
		theirs, err := other.Read(ctx, dir+"/n")
		must(t, err)
		if mine != "b" || theirs != "a" {
			t.Errorf("inside %q, outside %q, want b and a", mine, theirs)
		}
		want := "a"
		if commit {
			want = "b"
			must(t, tx.Commit(ctx))
		}
		tx.Abort()
		if got, err := c.Read(ctx, dir+"/n"); got != want || err != nil {
			t.Errorf("afterwards %q, %v, want %q", got, err, want)
		}
	}
	tx, err := c.Begin(ctx)
	must(t, err)
	must(t, tx.Commit(ctx))
}

func conformConflict(t *testing.T, ctx context.Context, c, other *xenstore.Client, dir string) {
	must(t, c.Write(ctx, dir+"/n", "a"))
	tx, err := c.Begin(ctx)
	must(t, err)
	_, err = tx.Read(ctx, dir+"/n")
	must(t, err)
	must(t, other.Write(ctx, dir+"/n", "b"))
	if v, err := tx.Read(ctx, dir+"/n"); v != "a" || err != nil {
		t.Errorf("the transaction sees %q, %v", v, err)
	}
	must(t, tx.Write(ctx, dir+"/n", "c"))
	if err := tx.Commit(ctx); !errors.Is(err, xenstore.ErrConflict) || !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("Commit = %v, want ErrConflict", err)
	}
	if v, err := c.Read(ctx, dir+"/n"); v != "b" || err != nil {
		t.Errorf("afterwards %q, %v, want b", v, err)
	}
}

// Two clients that count up the same node lose no step.
func conformCounter(t *testing.T, ctx context.Context, c, other *xenstore.Client, dir string) {
	must(t, c.Write(ctx, dir+"/n", "0"))
	const steps = 20
	done := make(chan error, 2)
	for _, who := range []*xenstore.Client{c, other} {
		go func() {
			var err error
			for i := 0; i < steps && err == nil; i++ {
				err = who.Update(ctx, func(tx *xenstore.Tx) error {
					v, err := tx.Read(ctx, dir+"/n")
					var n int
					fmt.Sscan(v, &n)
					return errors.Join(err, tx.Write(ctx, dir+"/n", fmt.Sprint(n+1)))
				})
			}
			done <- err
		}()
	}
	must(t, errors.Join(<-done, <-done))
	if v, err := c.Read(ctx, dir+"/n"); v != fmt.Sprint(2*steps) || err != nil {
		t.Errorf("counted to %q, %v, want %d", v, err, 2*steps)
	}
}

func conformPerms(t *testing.T, ctx context.Context, c, other *xenstore.Client, dir string) {
	want := []wire.Perm{{Access: wire.Both, Dom: 0}, {Access: wire.Read, Dom: 2}, {Access: wire.None, Dom: 32751}}
	must(t, c.Mkdir(ctx, dir+"/p"))
	must(t, c.SetPerms(ctx, dir+"/p", want))
	must(t, c.Write(ctx, dir+"/p/child", ""))
	for _, path := range []string{"/p", "/p/child"} { // a child inherits
		got, err := other.Perms(ctx, dir+path)
		if d := cmp.Diff(want, got); err != nil || d != "" {
			t.Errorf("%s: %v\n%s", path, err, d)
		}
	}
}

func conformErrors(t *testing.T, ctx context.Context, c, _ *xenstore.Client, dir string) {
	_, read := c.Read(ctx, dir+"/none")
	_, list := c.List(ctx, dir+"/none")
	_, perms := c.Perms(ctx, dir+"/none")
	for name, err := range map[string]error{
		"read": read, "list": list, "perms": perms, "set perms": c.SetPerms(ctx, dir+"/none", []wire.Perm{{}}),
		"rm without parent": c.Rm(ctx, dir+"/none/below"),
	} {
		if !errors.Is(err, xenstore.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
	must(t, c.Rm(ctx, dir+"/none"))
	for _, path := range []string{dir + "/bad path", dir + "//x", dir + "/x/", dir + "/ä"} {
		if err := c.Write(ctx, path, ""); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("write %q: %v, want EINVAL", path, err)
		}
	}
}

func conformWatches(t *testing.T, ctx context.Context, c, other *xenstore.Client, dir string) {
	w, err := c.Watch(ctx, dir+"/w", xenstore.Token("a token"))
	must(t, err)
	defer w.Close()
	expect := func(want ...string) {
		t.Helper()
		for _, path := range want {
			if e := next(t, w); e.Path != dir+path || e.Token != "a token" {
				t.Fatalf("event %+v, want %s", e, dir+path)
			}
		}
	}
	expect("/w")
	must(t, other.Write(ctx, dir+"/w", "1"))
	must(t, other.Write(ctx, dir+"/w/a/b", "1"))
	must(t, other.Write(ctx, dir+"/wx", "not ours"))
	must(t, other.SetPerms(ctx, dir+"/w/a", []wire.Perm{{Dom: 0}}))
	expect("/w", "/w/a/b", "/w/a")
	must(t, other.Update(ctx, func(tx *xenstore.Tx) error { return tx.Write(ctx, dir+"/w/t", "1") }))
	expect("/w/t")
	must(t, other.Rm(ctx, dir+"/w/a"))
	expect("/w/a")
	must(t, other.Rm(ctx, dir+"/w"))
	expect("/w")
}

// conformModel compares long runs of requests with a map of paths to values.
func conformModel(t *testing.T, ctx context.Context, c, other *xenstore.Client, dir string) {
	rapid.Check(t, func(rt *rapid.T) {
		must(t, c.Rm(ctx, dir+"/m"))
		must(t, c.Mkdir(ctx, dir+"/m"))
		model := map[string]string{dir + "/m": ""}
		for range rapid.IntRange(1, 8).Draw(rt, "groups") {
			ops := rapid.SliceOfN(genStep(dir+"/m"), 1, 6).Draw(rt, "steps")
			after := maps.Clone(model)
			switch rapid.IntRange(0, 2).Draw(rt, "how") {
			case 0:
				for _, o := range ops {
					o.check(rt, ctx, c, after)
				}
				model = after
			case 1:
				must(t, c.Update(ctx, func(tx *xenstore.Tx) error {
					maps.DeleteFunc(after, func(string, string) bool { return true })
					maps.Copy(after, model)
					for _, o := range ops {
						o.check(rt, ctx, tx, after)
					}
					return nil
				}))
				model = after
			case 2:
				tx, err := c.Begin(ctx)
				must(t, err)
				for _, o := range ops {
					o.check(rt, ctx, tx, after)
				}
				tx.Abort()
			}
		}
		got := make(map[string]string)
		readTree(t, ctx, other, dir+"/m", got)
		if d := cmp.Diff(model, got); d != "" {
			rt.Fatalf("(-model +store)\n%s", d)
		}
	})
}

// step is one request of the model test.
type step struct{ op, path, value string }

func genStep(dir string) *rapid.Generator[step] {
	return rapid.Custom(func(t *rapid.T) step {
		path := dir
		for range rapid.IntRange(0, 3).Draw(t, "depth") {
			path += "/" + rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
		}
		op := rapid.SampledFrom([]string{"read", "write", "write", "mkdir", "rm", "list"}).Draw(t, "op")
		if op == "rm" && path == dir {
			op = "list"
		}
		return step{op, path, rapid.StringN(0, 5, 20).Draw(t, "value")}
	})
}

// check carries out s on the store and the model and compares what they say.
func (s step) check(t *rapid.T, ctx context.Context, st xenstore.Store, model map[string]string) {
	_, exists := model[s.path]
	var err, want error
	switch s.op {
	case "read":
		var v string
		if v, err = st.Read(ctx, s.path); v != model[s.path] {
			t.Fatalf("%v: %q, want %q", s, v, model[s.path])
		}
	case "list":
		var names []string
		names, err = st.List(ctx, s.path)
		slices.Sort(names)
		if d := cmp.Diff(modelList(model, s.path), strings.Join(names, " ")); d != "" {
			t.Fatalf("%v: %s", s, d)
		}
	case "write":
		err = st.Write(ctx, s.path, s.value)
		modelMkdir(model, s.path)
		model[s.path] = s.value
	case "mkdir":
		err = st.Mkdir(ctx, s.path)
		modelMkdir(model, s.path)
	case "rm":
		err = st.Rm(ctx, s.path)
		_, parent := model[filepath.Dir(s.path)]
		exists = exists || parent
		maps.DeleteFunc(model, func(p, _ string) bool { return wire.IsChild(s.path, p) })
	}
	if !exists && s.op != "write" && s.op != "mkdir" {
		want = xenstore.ErrNotFound
	}
	if !errors.Is(err, want) {
		t.Fatalf("%v: %v, want %v", s, err, want)
	}
}

func modelMkdir(model map[string]string, path string) {
	for ; path != "/"; path = filepath.Dir(path) {
		if _, ok := model[path]; ok {
			return
		}
		model[path] = ""
	}
}

func modelList(model map[string]string, path string) string {
	var names []string
	for p := range model {
		if filepath.Dir(p) == path {
			names = append(names, filepath.Base(p))
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func readTree(t *testing.T, ctx context.Context, c *xenstore.Client, path string, into map[string]string) {
	v, err := c.Read(ctx, path)
	must(t, err)
	into[path] = v
	names, err := c.List(ctx, path)
	must(t, err)
	for _, n := range names {
		readTree(t, ctx, c, path+"/"+n, into)
	}
}
