package disk

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// batchOf makes a batch of a fresh direct file of that size.
func batchOf(t testing.TB, size, n int) (*Batch, string) {
	t.Helper()
	path := newFile(t, make([]byte, size))
	d, info := mustOpen(t, path, Options{Format: Raw, Direct: true})
	if !info.Direct {
		t.Skip("no direct I/O here: set TMPDIR to a file system that has it")
	}
	b, err := NewBatch(d, n)
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b, path
}

// finish takes n requests and returns the tags of those that are done.
func finish(t *testing.T, b *Batch, n int) (done []int) {
	t.Helper()
	if left, err := b.Start(); err != nil || len(left) > 0 {
		t.Fatal(left, err)
	}
	for ended := 0; ended < n; {
		tag, all, ok := b.Next()
		if !ok {
			fds := []unix.PollFd{{Fd: int32(b.Descriptor()), Events: unix.POLLIN}}
			if k, err := unix.Poll(fds, 10_000); err != nil && err != unix.EINTR || err == nil && k == 0 {
				t.Fatalf("%d of %d requests have ended: %v", ended, n, err)
			}
			continue
		}
		if ended++; all {
			done = append(done, tag)
		}
	}
	slices.Sort(done)
	return done
}

func TestBatch(t *testing.T) {
	const n = 8
	b, path := batchOf(t, 1<<20, n)
	want := pages(n << 12)
	copy(want, noise(5, len(want)))
	for i := range n {
		if !b.Write(want[i<<12:][:4096], int64(i)<<12, i) {
			t.Fatalf("write %d was refused", i)
		}
	}
	if done := finish(t, b, n); len(done) != n {
		t.Errorf("done are %v", done)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got[:len(want)], want) {
		t.Errorf("the file is another (%v)", err)
	}
	got := pages(4096)
	if !b.Read(got, 3<<12, 0) {
		t.Fatal("a read was refused")
	}
	if done := finish(t, b, 1); len(done) != 1 || !bytes.Equal(got, want[3<<12:][:4096]) {
		t.Error("read something else")
	}
}

// What a batch must not do it refuses, and holds nothing for it afterwards.
func TestBatchRefuses(t *testing.T) {
	const size = 64 << 10
	b, path := batchOf(t, size, 4)
	p := pages(8192)
	for _, tt := range []struct {
		name string
		p    []byte
		off  int64
	}{
		{"a part of a block", p[:100], 0},
		{"an odd place", p[:4096], 100},
		{"an odd buffer", p[1:4097], 0},
		{"beyond the end", p, size - 4096},
		{"before the start", p, -4096},
	} {
		if b.Read(tt.p, tt.off, 0) || b.Write(tt.p, tt.off, 0) {
			t.Errorf("%s was taken", tt.name)
		}
	}
	if !b.f.rmw.TryLock() {
		t.Fatal("a refused write holds the lock")
	}
	if b.Write(p[:4096], 0, 0) {
		t.Error("a write was taken while another changes a part of a block")
	}
	b.f.rmw.Unlock()
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	if !b.Read(p, 0, 1) {
		t.Fatal("a read was refused")
	}
	if done := finish(t, b, 1); len(done) != 0 {
		t.Error("half a read is said to be done")
	}
}

// Others go one by one: the page cache is faster than being told of an end, and only a
// lock tells the next process that nothing is under way.
func TestBatchOnlyWhereSafe(t *testing.T) {
	path := newFile(t, make([]byte, 64<<10))
	for _, o := range []Options{{Format: Raw}, {Format: Raw, Direct: true, NoLock: true}} {
		d, _ := mustOpen(t, path, o)
		if b, err := NewBatch(d, 4); !errors.Is(err, errors.ErrUnsupported) {
			b.Close()
			t.Errorf("%+v: %v", o, err)
		}
		d.Close()
	}
}
