package qcow2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"goxl/blkback/disk/disktest"
)

// crashRecipes are images of 64 clusters of 4 KiB, or as they say.
var crashRecipes = []struct {
	name    string
	create  []string
	fill    []string
	snap    bool
	backing bool
	grows   bool // the reference count table must
	beyond  int  // bytes of disk beyond what the test works on
}{
	{name: "empty", create: []string{"-o", "cluster_size=4k"}},
	{name: "small clusters", create: []string{"-o", "cluster_size=512,refcount_bits=64"}},
	{name: "count table grows", create: []string{"-o", "cluster_size=512,refcount_bits=64"}, fill: []string{"write -P 7 256k 1930k"}, grows: true, beyond: 2 << 20},
	{name: "version 2", create: []string{"-o", "compat=0.10,cluster_size=4k"}},
	{name: "backing file", create: []string{"-o", "cluster_size=4k"}, backing: true},
	{name: "snapshot", create: []string{"-o", "cluster_size=4k"}, fill: []string{"write -P 7 0 200k"}, snap: true},
	{name: "compressed", create: []string{"-o", "cluster_size=4k"}, fill: []string{"write -c -P 7 0 128k", "write -z 128k 32k"}},
}

const crashSize = 256 << 10

// work does random things to an image and notes what must survive: for each flush
// that returned, the step after which it did and what the disk held then.
type work struct {
	im    *Image
	f     *memFile
	model []byte
	ops   []operation
	done  []survivor
}

type operation struct {
	step   int // of the file, before it
	off, n int
	fill   byte // 0 for a discard
}

type survivor struct {
	step  int // of the file, after the flush
	ops   int // how many had been done
	model []byte
}

func (w *work) run(t *testing.T, rng *rand.Rand, operations int) {
	t.Helper()
	for range operations {
		off := rng.IntN(crashSize/512) * 512
		n := min((1+rng.IntN(64))*512, crashSize-off)
		var err error
		switch op := rng.IntN(10); {
		case op < 6:
			fill := byte(1 + rng.IntN(255))
			p := bytes.Repeat([]byte{fill}, n)
			w.ops = append(w.ops, operation{len(w.f.log), off, n, fill})
			_, err = w.im.WriteAt(p, int64(off))
			copy(w.model[off:], p)
		case op < 8:
			w.ops = append(w.ops, operation{len(w.f.log), off, n, 0})
			err = w.im.Discard(int64(off), int64(n))
			if err == nil {
				_, err = w.im.ReadAt(w.model[off:off+n], int64(off))
			}
		default:
			err = w.im.Flush()
			w.survive()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func (w *work) survive() {
	w.done = append(w.done, survivor{len(w.f.log), len(w.ops), bytes.Clone(w.model)})
}

type memBacking struct{ *bytes.Reader }

func (b memBacking) Size() int64 { return b.Reader.Size() }
func (memBacking) Close() error  { return nil }

// Wherever the process or the machine dies, the image has no errors, and what had
// been flushed is there.
func TestCrash(t *testing.T) {
	disktest.Need(t)
	for _, r := range crashRecipes {
		t.Run(r.name, func(t *testing.T) {
			dir := disktest.Dir(t)
			path := filepath.Join(dir, "disk.qcow2")
			base := bytes.Repeat([]byte{0xbb}, crashSize)
			create := append([]string{"create", "-q", "-f", "qcow2"}, r.create...)
			if r.backing {
				os.WriteFile(filepath.Join(dir, "base.raw"), base, 0o600)
				create = append(create, "-b", "base.raw", "-F", "raw")
			}
			disktest.Img(t, append(create, path, fmt.Sprint(crashSize+r.beyond))...)
			if r.fill != nil {
				disktest.IO(t, "qcow2", path, r.fill...)
			}
			if r.snap {
				disktest.Img(t, "snapshot", "-c", "s", path)
			}
			start, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			o := Options{Reserve: 16 << 10, Backing: func(string, string) (Backing, error) {
				return memBacking{bytes.NewReader(base)}, nil
			}}
			for seed := range map[bool]uint64{false: 3, true: 1}[r.grows] { // a large one takes long
				grown := crash(t, start, path, o, rand.New(rand.NewPCG(seed, 1)))
				if r.grows && !grown {
					t.Errorf("the reference count table did not grow")
				}
			}
		})
	}
}

func crash(t *testing.T, start []byte, path string, o Options, rng *rand.Rand) (grown bool) {
	t.Helper()
	f := &memFile{b: bytes.Clone(start), record: true}
	im, err := Open(f, o)
	if err != nil {
		t.Fatal(err)
	}
	table := im.h.refTableClusters
	w := &work{im: im, f: f, model: make([]byte, crashSize)}
	if _, err := im.ReadAt(w.model, 0); err != nil {
		t.Fatal(err)
	}
	w.survive()
	w.run(t, rng, 40)
	if err := im.Close(); err != nil {
		t.Fatal(err)
	}
	w.survive()
	for n := range len(f.log) + 1 {
		left := []struct {
			how string
			b   []byte
		}{
			{"the process", prefix(start, f.log, n)},
			{"the machine", powerLoss(start, f.log, n, rng)},
		}
		for _, l := range left {
			leaks, err := audit(l.b)
			if err != nil {
				t.Fatalf("%s dies after step %d of %d: %v", l.how, n, len(f.log), err)
			}
			if n == len(f.log) && l.how == "the process" && leaks > 0 {
				t.Errorf("%d clusters leak after a proper end", leaks)
			}
			if rng.IntN(60) == 0 { // each takes QEMU a while
				if err := os.WriteFile(path, l.b, 0o600); err != nil {
					t.Fatal(err)
				}
				if got := disktest.Check(t, "qcow2", path); got != leaks {
					t.Errorf("QEMU finds %d leaks and the test %d", got, leaks)
				}
			}
			checkSurvivors(t, l.b, l.how, n, w, o)
		}
	}
	return im.h.refTableClusters > table
}

// checkSurvivors reads an image after a crash at step n. Each sector must have what
// the last flush before saw, or what an operation since then has made of it.
func checkSurvivors(t *testing.T, b []byte, how string, n int, w *work, o Options) {
	t.Helper()
	im, err := Open(&memFile{b: bytes.Clone(b)}, o)
	if err != nil {
		t.Fatalf("open after %s died at step %d: %v", how, n, err)
	}
	defer im.Close()
	got := make([]byte, crashSize)
	if _, err := im.ReadAt(got, 0); err != nil {
		t.Fatalf("read after %s died at step %d: %v", how, n, err)
	}
	last := w.done[0]
	for _, s := range w.done {
		if s.step <= n {
			last = s
		}
	}
	for off := 0; off < crashSize; off += 512 {
		s := got[off : off+512]
		if !bytes.Equal(s, last.model[off:off+512]) && !w.wrote(s, off, last.ops, n) {
			t.Fatalf("%s dies after step %d: the sector at %d had been flushed and is lost", how, n, off)
		}
	}
}

// wrote says whether an operation since that one may have left this sector.
func (w *work) wrote(sector []byte, off, since, steps int) bool {
	for _, op := range w.ops[since:] {
		if op.step < steps && op.off <= off && off < op.off+op.n &&
			bytes.Equal(sector, bytes.Repeat([]byte{op.fill}, 512)) {
			return true
		}
	}
	return false
}
