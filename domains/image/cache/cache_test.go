package cache

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"goxl/domains/image"
)

// kernel writes a bzImage with the packed ELF file of package image's tests. A
// different tail makes a different file with the same kernel.
func kernel(t *testing.T, name, tail string) string {
	t.Helper()
	payload, err := os.ReadFile("../testdata/payload.elf.gz")
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1024)
	b[0x1f1] = 1
	copy(b[0x202:], "HdrS\x0f\x02")
	b[0x24c], b[0x24d] = byte(len(payload)), byte(len(payload)>>8)
	b = append(append(b, payload...), tail...)
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	settle(t, name)
	return name
}

// settle waits until a change of the file would show.
func settle(t *testing.T, name string) {
	t.Helper()
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Until(changed(st).Add(2 * fresh)))
}

const fresh = 30 * time.Millisecond

func newCache(o Options) *Cache {
	c := New(o)
	c.fresh = fresh
	return c
}

func open(t *testing.T, c *Cache, name string) *Kernel {
	t.Helper()
	k, err := c.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return k
}

func contents(t *testing.T, k *Kernel) []byte {
	t.Helper()
	var all []byte
	for i := range k.Segments {
		s := &k.Segments[i]
		b, err := io.ReadAll(io.NewSectionReader(s, 0, int64(s.FileSize)))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

func count(t *testing.T, dir, pattern string) int {
	t.Helper()
	m, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return len(m)
}

func quiet(t *testing.T) func(error) { return func(err error) { t.Error(err) } }

func TestCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kernels")
	c := newCache(Options{Dir: dir, Report: quiet(t)})
	name := kernel(t, filepath.Join(t.TempDir(), "vmlinuz"), "")
	first := open(t, c, name)
	if first.Cached {
		t.Error("found in an empty cache")
	}
	second := open(t, c, name)
	if !second.Cached {
		t.Error("not found the second time")
	}
	if !bytes.Equal(contents(t, first), contents(t, second)) {
		t.Error("the kernel from the cache differs")
	}
	if _, err := second.PVH(); err != nil {
		t.Error(err)
	}
	// The same contents in another file: no unpacking either.
	copied := kernel(t, filepath.Join(t.TempDir(), "copy"), "")
	if !open(t, c, copied).Cached {
		t.Error("not found by contents")
	}
	if e, l := count(t, dir, "*"+suffix), count(t, dir, linkPrefix+"*"); e != 1 || l != 2 {
		t.Errorf("%d entries and %d links, want 1 and 2", e, l)
	}
}

func TestChangedKernel(t *testing.T) {
	dir := t.TempDir()
	c := newCache(Options{Dir: dir, Report: quiet(t)})
	name := kernel(t, filepath.Join(t.TempDir(), "vmlinuz"), "one")
	open(t, c, name)
	kernel(t, name, "two")
	if open(t, c, name).Cached {
		t.Error("an old kernel was found for a file that changed")
	}
}

func TestFreshFileHasNoLink(t *testing.T) {
	dir := t.TempDir()
	c := newCache(Options{Dir: dir, Report: quiet(t)})
	name := kernel(t, filepath.Join(t.TempDir(), "vmlinuz"), "")
	now := time.Now()
	if err := os.Chtimes(name, now, now); err != nil { // changes its ctime
		t.Fatal(err)
	}
	open(t, c, name)
	if n := count(t, dir, linkPrefix+"*"); n != 0 {
		t.Errorf("%d links to a file that was written just now", n)
	}
	if !open(t, c, name).Cached {
		t.Error("not found by contents")
	}
}

func TestBounded(t *testing.T) {
	dir := t.TempDir()
	name := kernel(t, filepath.Join(t.TempDir(), "vmlinuz"), "")
	probe := newCache(Options{Dir: t.TempDir(), Report: quiet(t)})
	size := int64(len(contents(t, open(t, probe, name)))) * 2
	c := newCache(Options{Dir: dir, Max: size, Report: quiet(t)})
	for i := range 4 {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		other := filepath.Join(t.TempDir(), "other")
		if err := os.WriteFile(other, fmt.Append(b, i), 0o600); err != nil {
			t.Fatal(err)
		}
		open(t, c, other)
	}
	if n := count(t, dir, "*"+suffix); n != 1 {
		t.Errorf("%d entries where one fits", n)
	}
}

func TestDamagedEntry(t *testing.T) {
	dir := t.TempDir()
	c := newCache(Options{Dir: dir, Report: quiet(t)})
	name := kernel(t, filepath.Join(t.TempDir(), "vmlinuz"), "")
	want := contents(t, open(t, c, name))
	entries, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	if err := os.Truncate(entries[0], 100); err != nil {
		t.Fatal(err)
	}
	k := open(t, c, name)
	if k.Cached || !bytes.Equal(contents(t, k), want) {
		t.Error("a damaged entry was used")
	}
	if !open(t, c, name).Cached {
		t.Error("the damaged entry was not replaced")
	}
}

func TestUntrusted(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	var told error
	c := newCache(Options{Dir: dir, Report: func(err error) { told = err }})
	open(t, c, kernel(t, filepath.Join(t.TempDir(), "vmlinuz"), ""))
	if told == nil || !strings.Contains(told.Error(), "others") {
		t.Errorf("told %v", told)
	}
	if n := count(t, dir, "*"); n != 0 {
		t.Errorf("%d files in a directory that others can write to", n)
	}
}

func TestOff(t *testing.T) {
	c := newCache(Options{Report: quiet(t)})
	name := kernel(t, filepath.Join(t.TempDir(), "vmlinuz"), "")
	if open(t, c, name).Cached || open(t, c, name).Cached {
		t.Error("cached without a directory")
	}
}

func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	name := kernel(t, filepath.Join(t.TempDir(), "vmlinuz"), "")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c := newCache(Options{Dir: dir, Report: quiet(t)})
			defer c.Close()
			k, err := c.Open(name)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := k.PV(); err != nil {
				t.Error(err)
			}
			_ = k.Close()
		})
	}
	wg.Wait()
	if n := count(t, dir, tmpPrefix+"*"); n != 0 {
		t.Errorf("%d temporary files left", n)
	}
}

func TestErrors(t *testing.T) {
	c := newCache(Options{Dir: t.TempDir(), Report: quiet(t), Limits: image.Limits{Unpacked: 1000}})
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, file string
		want       error
	}{
		{"missing", filepath.Join(dir, "missing"), fs.ErrNotExist},
		{"not a kernel", text, image.ErrFormat},
		{"too big inside", kernel(t, filepath.Join(dir, "vmlinuz"), ""), image.ErrTooBig},
		{"a directory", dir, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := c.Open(tt.file)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestZeroesTakeNoRoom(t *testing.T) {
	dir := t.TempDir()
	elf := append(bytes.Repeat([]byte("kernel"), 1000), make([]byte, 4<<20)...)
	if err := newCache(Options{Dir: dir}).save("x", elf); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "x")
	if b, err := os.ReadFile(name); err != nil || !bytes.Equal(b, elf) {
		t.Errorf("saved %d bytes, %v; want the same %d", len(b), err, len(elf))
	}
	var st syscall.Stat_t
	if err := syscall.Stat(name, &st); err != nil || st.Blocks*512 > 1<<20 {
		t.Errorf("%d bytes on the disk, %v; 6000 of them are no zeroes", st.Blocks*512, err)
	}
}
