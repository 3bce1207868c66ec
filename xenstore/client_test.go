package xenstore_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goxl/xenctrl/abi"
	"goxl/xenstore"
	"goxl/xenstore/server"
	"goxl/xenstore/wire"
)

// testContext bounds a test that would otherwise hang.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// newStore returns a fresh store and dom0's client of it.
func newStore(t testing.TB, opts ...xenstore.Option) (*server.Server, *xenstore.Client) {
	t.Helper()
	srv := server.New(server.Options{})
	t.Cleanup(func() { srv.Close() })
	return srv, dial(t, srv, 0, opts...)
}

func dial(t testing.TB, srv *server.Server, dom abi.DomID, opts ...xenstore.Option) *xenstore.Client {
	t.Helper()
	opts = append(opts, xenstore.WithDialer(func(context.Context) (net.Conn, error) { return srv.Pipe(dom), nil }))
	c, err := xenstore.Dial(testContext(t), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func next(t testing.TB, w *xenstore.Watch) xenstore.Event {
	t.Helper()
	select {
	case e, ok := <-w.Events():
		if !ok {
			t.Fatalf("watch %s ended: %v", w.Path(), w.Err())
		}
		return e
	case <-time.After(10 * time.Second):
		t.Fatalf("no event on %s", w.Path())
		return xenstore.Event{}
	}
}

func TestReadWriteListRemove(t *testing.T) {
	_, c := newStore(t)
	ctx := testContext(t)
	values := map[string]string{"/a/empty": "", "/a/bytes": "\x00\xff\n\x00", "/a/long": strings.Repeat("x", 4000)}
	for path, v := range values {
		must(t, c.Write(ctx, path, v))
	}
	for path, v := range values {
		if got, err := c.Read(ctx, path); got != v || err != nil {
			t.Errorf("Read(%s) = %.20q, %v, want %.20q", path, got, err, v)
		}
	}
	must(t, c.Mkdir(ctx, "/a/dir/sub"))
	must(t, c.Mkdir(ctx, "/a/dir"))
	names, err := c.List(ctx, "/a")
	slices.Sort(names)
	if d := cmp.Diff([]string{"bytes", "dir", "empty", "long"}, names); err != nil || d != "" {
		t.Errorf("List: %v\n%s", err, d)
	}
	must(t, c.Rm(ctx, "/a/dir"))
	must(t, c.Rm(ctx, "/a/dir"))
	if ok, err := c.Exists(ctx, "/a/dir/sub"); ok || err != nil {
		t.Errorf("Exists after Rm = %v, %v", ok, err)
	}
}

func TestErrorsHaveNames(t *testing.T) {
	srv, c := newStore(t)
	guest := dial(t, srv, 5)
	ctx := testContext(t)
	_, missing := c.Read(ctx, "/none")
	for _, tt := range []struct {
		name string
		err  error
		want []error
	}{
		{"no such node", missing, []error{xenstore.ErrNotFound, syscall.ENOENT}},
		{"removal below nothing", c.Rm(ctx, "/none/below"), []error{xenstore.ErrNotFound}},
		{"guest writes to dom0's node", guest.Write(ctx, "/x", ""), []error{xenstore.ErrPermission, syscall.EACCES}},
		{"guest introduces", guest.Introduce(ctx, 6, 1, 1), []error{xenstore.ErrPermission}},
		{"bad path", c.Write(ctx, "/a b", ""), []error{syscall.EINVAL}},
		{"NUL in the path", c.Write(ctx, "/a\x00b", ""), []error{syscall.EINVAL}},
		{"value too long", c.Write(ctx, "/a", strings.Repeat("x", 4096)), []error{syscall.E2BIG}},
	} {
		for _, want := range tt.want {
			if !errors.Is(tt.err, want) {
				t.Errorf("%s: %v does not match %v", tt.name, tt.err, want)
			}
		}
	}
	if want := "xenstore read /none: no such file or directory"; missing.Error() != want {
		t.Errorf("error text %q, want %q", missing, want)
	}
}

func TestQuotaError(t *testing.T) {
	srv := server.New(server.Options{Quota: server.Quota{Nodes: 3, Watches: 2}})
	defer srv.Close()
	c, guest := dial(t, srv, 0), dial(t, srv, 7)
	ctx := testContext(t)
	must(t, c.Mkdir(ctx, "/local/domain/7"))
	must(t, c.SetPerms(ctx, "/local/domain/7", []wire.Perm{{Dom: 7}}))
	var err error
	for i := 0; err == nil && i < 10; i++ {
		err = guest.Write(ctx, fmt.Sprintf("n%d", i), "")
	}
	if !errors.Is(err, xenstore.ErrQuota) {
		t.Errorf("writing on and on: %v, want ErrQuota", err)
	}
	err = nil
	for i := 0; err == nil && i < 10; i++ {
		_, err = guest.Watch(ctx, "/local/domain/7")
	}
	if !errors.Is(err, xenstore.ErrQuota) {
		t.Errorf("watching on and on: %v, want ErrQuota", err)
	}
}

func TestPermissions(t *testing.T) {
	srv, c := newStore(t)
	ctx := testContext(t)
	a, b := dial(t, srv, 1), dial(t, srv, 2)
	perms := []wire.Perm{{Access: wire.None, Dom: 1}, {Access: wire.Read, Dom: 2}}
	must(t, c.Write(ctx, "/shared", "x"))
	must(t, c.SetPerms(ctx, "/shared", perms))
	got, err := b.Perms(ctx, "/shared")
	if d := cmp.Diff(perms, got); err != nil || d != "" {
		t.Errorf("Perms: %v\n%s", err, d)
	}
	must(t, a.Write(ctx, "/shared", "y"))
	if v, err := b.Read(ctx, "/shared"); v != "y" || err != nil {
		t.Errorf("reader reads %q, %v", v, err)
	}
	for name, err := range map[string]error{
		"reader writes":       b.Write(ctx, "/shared", "z"),
		"reader sets perms":   b.SetPerms(ctx, "/shared", perms),
		"owner gives it away": a.SetPerms(ctx, "/shared", []wire.Perm{{Dom: 2}}),
	} {
		if !errors.Is(err, xenstore.ErrPermission) {
			t.Errorf("%s: %v, want ErrPermission", name, err)
		}
	}
}

func TestLargeDirectory(t *testing.T) {
	for _, n := range []int{0, 1, 315, 316, 3000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			_, c := newStore(t)
			ctx := testContext(t)
			var b xenstore.Batch
			b.Mkdir("/big")
			want := []string{}
			for i := range n {
				name := fmt.Sprintf("child-%06d", i)
				want = append(want, name)
				b.Mkdir("/big/" + name)
			}
			must(t, c.Send(ctx, &b))
			got, err := c.List(ctx, "/big")
			if d := cmp.Diff(want, got); err != nil || d != "" {
				t.Errorf("%v\n%s", err, d)
			}
		})
	}
}

// A directory that changes while it is read in parts is never a mix.
func TestLargeDirectoryChanging(t *testing.T) {
	srv, c := newStore(t)
	ctx := testContext(t)
	long := strings.Repeat("n", 200)
	var b xenstore.Batch
	for i := range 100 {
		b.Mkdir(fmt.Sprintf("/big/%s%03d", long, i))
	}
	must(t, c.Send(ctx, &b))
	stop := make(chan struct{})
	var wg sync.WaitGroup
	other := dial(t, srv, 0)
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			old, new := fmt.Sprintf("/big/%s%03d", long, i%100), fmt.Sprintf("/big/%s%03d", long, (i+1)%100)
			_ = other.Update(ctx, func(tx *xenstore.Tx) error { // one is always missing
				return errors.Join(tx.Rm(ctx, new), tx.Mkdir(ctx, old))
			})
		}
	})
	for range 30 {
		names, err := c.List(ctx, "/big")
		must(t, err)
		if slices.Sort(names); len(slices.Compact(names)) < 99 {
			t.Fatalf("a list of %d names", len(names))
		}
	}
	close(stop)
	wg.Wait()
}

func TestDirectoryWithoutParts(t *testing.T) {
	srv := server.New(server.Options{NoDirectoryPart: true})
	defer srv.Close()
	c := dial(t, srv, 0)
	ctx := testContext(t)
	for i := range 30 {
		must(t, c.Mkdir(ctx, fmt.Sprintf("/big/%s%d", strings.Repeat("n", 200), i)))
	}
	if _, err := c.List(ctx, "/big"); !errors.Is(err, syscall.E2BIG) {
		t.Errorf("List from an old store: %v, want E2BIG", err)
	}
}

func TestDomains(t *testing.T) {
	var told []string
	srv := server.New(server.Options{Introduced: func(dom abi.DomID, gfn abi.GFN, port abi.Port) {
		told = append(told, fmt.Sprint(dom, gfn, port))
	}})
	c := dial(t, srv, 0)
	ctx := testContext(t)
	ask := func(dom abi.DomID, want bool) {
		t.Helper()
		if got, err := c.IsIntroduced(ctx, dom); got != want || err != nil {
			t.Errorf("IsIntroduced(%d) = %v, %v", dom, got, err)
		}
	}
	ask(0, true)
	ask(3, false)
	must(t, c.Introduce(ctx, 3, 0xFEFFC, 1))
	must(t, c.Introduce(ctx, 4, 0xFEFFC, 2))
	ask(3, true)
	must(t, c.Resume(ctx, 3))
	must(t, c.SetTarget(ctx, 4, 3))
	if p, err := c.DomainPath(ctx, 3); p != "/local/domain/3" || err != nil {
		t.Errorf("DomainPath = %q, %v", p, err)
	}
	must(t, c.Release(ctx, 3))
	ask(3, false)
	if err := c.Release(ctx, 3); !errors.Is(err, xenstore.ErrNotFound) {
		t.Errorf("second Release: %v", err)
	}
	if help, err := c.Control(ctx, "help"); !strings.Contains(help, "check") || err != nil {
		t.Errorf("Control(help) = %q, %v", help, err)
	}
	if _, err := c.Features(ctx); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("Features of an old store: %v, want ErrUnsupported", err)
	}
	c.Close()
	srv.Close()
	if d := cmp.Diff([]string{"3 1044476 1", "4 1044476 2"}, told); d != "" {
		t.Error(d)
	}
}

func TestUnixSocketAndEnvironment(t *testing.T) {
	dir := t.TempDir()
	srv := server.New(server.Options{})
	defer srv.Close()
	t.Setenv("XENSTORED_PATH", "")
	t.Setenv("XENSTORED_RUNDIR", dir)
	ctx := testContext(t)
	if _, err := xenstore.Dial(ctx, xenstore.WithPath(filepath.Join(dir, "socket"))); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("Dial without a daemon: %v, want ENOENT", err)
	}
	time.AfterFunc(50*time.Millisecond, func() { srv.Listen(filepath.Join(dir, "socket")) })
	c, err := xenstore.Dial(ctx, xenstore.WithWait())
	must(t, err)
	defer c.Close()
	must(t, c.Write(ctx, "relative", "1"))
	if v, err := c.Read(ctx, "/local/domain/0/relative"); v != "1" || err != nil {
		t.Errorf("relative path: %q, %v", v, err)
	}
}

func TestDialWaitEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := xenstore.Dial(ctx, xenstore.WithPath(filepath.Join(t.TempDir(), "none")), xenstore.WithWait())
	if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, syscall.ENOENT) {
		t.Errorf("%v, want the deadline and the last attempt's cause", err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	_, c := newStore(t)
	ctx := testContext(t)
	w, err := c.Watch(ctx, "/a")
	must(t, err)
	must(t, c.Close())
	must(t, c.Close())
	for range w.Events() {
	}
	if !errors.Is(w.Err(), xenstore.ErrClosed) {
		t.Errorf("watch ended with %v", w.Err())
	}
	if _, err := c.Read(ctx, "/"); !errors.Is(err, xenstore.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}

func TestConcurrentCallers(t *testing.T) {
	_, c := newStore(t)
	ctx := testContext(t)
	var wg sync.WaitGroup
	for g := range 20 {
		wg.Go(func() {
			for i := range 50 {
				path, v := fmt.Sprintf("/c/%d", g), fmt.Sprint(g, i)
				if err := c.Write(ctx, path, v); err != nil {
					t.Error(err)
				}
				if got, err := c.Read(ctx, path); got != v || err != nil {
					t.Errorf("Read = %q, %v, want %q", got, err, v)
				}
			}
		})
	}
	wg.Wait()
}
