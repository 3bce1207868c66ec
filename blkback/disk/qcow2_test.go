package disk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"goxl/blkback/disk/disktest"
	"pgregory.net/rapid"
)

// recipe says how QEMU makes an image.
type recipe struct {
	options string // of qemu-img create
	size    int
	backing Format
	base    int      // bytes of the backing file
	fill    []string // commands of qemu-io
	snap    bool     // an internal snapshot after that
	more    []string // commands after the snapshot
	direct  bool
}

var recipes = map[string]recipe{
	"version 2":               {options: "compat=0.10", size: 3<<20 + 1536},
	"version 3":               {options: "compat=1.1", size: 3<<20 + 1536, direct: true},
	"clusters of 512 bytes":   {options: "cluster_size=512", size: 3<<20 + 512},
	"the same in version 2":   {options: "compat=0.10,cluster_size=512", size: 2 << 20, direct: true},
	"clusters of 2 MiB":       {options: "cluster_size=2M", size: 9<<20 + 512},
	"counts of 1 bit":         {options: "refcount_bits=1,cluster_size=512", size: 2 << 20},
	"counts of 64 bits":       {options: "refcount_bits=64,cluster_size=512", size: 2 << 20},
	"lazy counts":             {options: "lazy_refcounts=on", size: 2 << 20},
	"metadata made before":    {options: "preallocation=metadata", size: 2 << 20},
	"over raw":                {size: 3 << 20, backing: Raw, base: 2<<20 + 100},
	"over raw, version 2":     {options: "compat=0.10,cluster_size=4k", size: 3 << 20, backing: Raw, base: 2<<20 + 512},
	"over qcow2":              {options: "cluster_size=8k", size: 2 << 20, backing: QCOW2, base: 3 << 20, direct: true},
	"deflated":                {size: 2 << 20, fill: []string{"write -c -P 1 0 128k", "write -c -P 2 1M 512k"}},
	"deflated, small":         {options: "cluster_size=4k", size: 1 << 20, fill: []string{"write -c -P 1 0 512k"}, direct: true},
	"zstd":                    {options: "compression_type=zstd", size: 2 << 20, fill: []string{"write -c -P 3 0 1M"}},
	"zero clusters over raw":  {size: 2 << 20, backing: Raw, base: 2 << 20, fill: []string{"write -P 1 0 64k", "write -z 0 512k"}},
	"a snapshot":              {options: "cluster_size=4k", size: 2 << 20, fill: []string{"write -P 1 0 1M"}, snap: true},
	"a snapshot, then writes": {options: "cluster_size=4k,refcount_bits=8", size: 2 << 20, fill: []string{"write -P 1 0 1M"}, snap: true, more: []string{"write -P 2 100k 200k"}},
	"a deflated snapshot":     {size: 2 << 20, fill: []string{"write -c -P 1 0 1M", "write -z 1M 128k"}, snap: true, backing: Raw, base: 1 << 20},
}

// make has QEMU make the image and returns its path.
func (r recipe) make(t testing.TB, dir string) string {
	t.Helper()
	args := []string{"create", "-q", "-f", "qcow2"}
	if r.options != "" {
		args = append(args, "-o", r.options)
	}
	if r.backing != "" {
		base := filepath.Join(dir, "base."+string(r.backing))
		raw := filepath.Join(dir, "noise")
		if err := os.WriteFile(raw, noise(7, r.base), 0o600); err != nil {
			t.Fatal(err)
		}
		disktest.Img(t, "convert", "-f", "raw", "-O", string(r.backing), raw, base)
		if r.backing == Raw { // convert rounds the length up
			os.Rename(raw, base)
		}
		args = append(args, "-b", filepath.Base(base), "-F", string(r.backing))
	}
	path := filepath.Join(dir, "disk.qcow2")
	disktest.Img(t, append(args, path, fmt.Sprint(r.size))...)
	if r.fill != nil {
		disktest.IO(t, "qcow2", path, r.fill...)
	}
	if r.snap {
		disktest.Img(t, "snapshot", "-c", "before", path)
	}
	if r.more != nil {
		disktest.IO(t, "qcow2", path, r.more...)
	}
	return path
}

func (r recipe) open(t disktest.TB, dir, path string) Disk {
	d, info, err := Open(context.Background(), path, Options{
		Format: QCOW2, Direct: r.direct, Backing: Backing{Dirs: []string{dir}}, Cache: 4096,
	})
	if err != nil {
		t.Fatalf("%v", err)
	}
	if info.Format != QCOW2 || info.Direct != r.direct || d.Size() != int64(r.size) {
		t.Fatalf("info %+v, size %d", info, d.Size())
	}
	return d
}

// made is an image as QEMU made it.
type made struct {
	recipe
	dir      string
	image    []byte
	contents []byte
	snapshot []byte // what the snapshot shows
	leaks    int
}

func makeAll(t *testing.T) map[string]made {
	t.Helper()
	all := map[string]made{}
	for name, r := range recipes {
		m := made{recipe: r, dir: disktest.Dir(t)}
		path := r.make(t, m.dir)
		m.leaks = disktest.Check(t, "qcow2", path)
		m.contents = disktest.Contents(t, m.dir, "qcow2", path)
		var err error
		if m.image, err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		if r.snap {
			m.snapshot = m.before(t, path)
		}
		all[name] = m
	}
	return all
}

// before is what the snapshot of an image shows; the image goes back to it.
func (m made) before(t disktest.TB, path string) []byte {
	if out, err := exec.Command("qemu-img", "snapshot", "-a", "before", path).CombinedOutput(); err != nil {
		t.Fatalf("go back to the snapshot: %v\n%s", err, out)
	}
	disktest.Check(t, "qcow2", path)
	return disktest.Contents(t, m.dir, "qcow2", path)
}

// Whatever is done to an image, it reads as an array of bytes would, QEMU reads the
// same from it, finds it without errors, and no room is lost by a proper end. Its
// snapshot stays as it was. For long runs: -rapid.checks=5000.
func TestQCOW2LikeMemory(t *testing.T) {
	disktest.Need(t)
	all := makeAll(t)
	names := slices.Sorted(maps.Keys(all))
	rapid.Check(t, func(t *rapid.T) {
		r := all[rapid.SampledFrom(names).Draw(t, "image")]
		path := filepath.Join(r.dir, "try.qcow2")
		if err := os.WriteFile(path, r.image, 0o600); err != nil {
			t.Fatal(err)
		}
		m := &machine{r: r.recipe, dir: r.dir, path: path, model: bytes.Clone(r.contents), disk: r.open(t, r.dir, path)}
		defer func() { m.disk.Close() }()
		t.Repeat(map[string]func(*rapid.T){
			"read": m.read, "write": m.write, "discard": m.discard, "flush": m.flush, "reopen": m.reopen,
		})
		if err := m.disk.Close(); err != nil {
			t.Fatal(err)
		}
		if n := disktest.Check(t, "qcow2", path); n > r.leaks {
			t.Fatalf("%d clusters leak after a proper end, %d did at the start", n, r.leaks)
		}
		if !bytes.Equal(disktest.Contents(t, r.dir, "qcow2", path), m.model) {
			t.Fatal("QEMU reads something else")
		}
		if r.snap && !bytes.Equal(r.before(t, path), r.snapshot) {
			t.Fatal("the snapshot has changed")
		}
	})
}

// machine is an image under test beside what it should hold.
type machine struct {
	r         recipe
	dir, path string
	model     []byte
	disk      Disk
}

// place draws a range: in odd places, or along sectors and clusters.
func (m *machine) place(t *rapid.T) (off, n int) {
	size := len(m.model)
	off = rapid.IntRange(0, size).Draw(t, "off")
	n = rapid.OneOf(rapid.IntRange(0, 2000), rapid.IntRange(0, 300<<10), rapid.Just(64<<10)).Draw(t, "n")
	if mask := rapid.SampledFrom([]int{0, 511, 4095, 65535}).Draw(t, "mask"); mask != 0 {
		off, n = off&^mask, (n+mask)&^mask
	}
	return off, min(n, size-off)
}

func (m *machine) read(t *rapid.T) {
	off, n := m.place(t)
	p := make([]byte, n)
	if got, err := m.disk.ReadAt(p, int64(off)); err != nil || got != n {
		t.Fatalf("ReadAt = %d, %v", got, err)
	}
	if !bytes.Equal(p, m.model[off:off+n]) {
		t.Fatalf("read something else at %d", off)
	}
}

func (m *machine) write(t *rapid.T) {
	off, n := m.place(t)
	p := noise(rapid.Uint64().Draw(t, "content"), n)
	if got, err := m.disk.WriteAt(p, int64(off)); err != nil || got != n {
		t.Fatalf("WriteAt = %d, %v", got, err)
	}
	copy(m.model[off:], p)
}

// discard leaves each byte as it was or zero.
func (m *machine) discard(t *rapid.T) {
	off, n := m.place(t)
	if err := m.disk.Discard(int64(off), int64(n)); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, n)
	if _, err := m.disk.ReadAt(p, int64(off)); err != nil {
		t.Fatal(err)
	}
	for i, b := range p {
		if b != 0 && b != m.model[off+i] {
			t.Fatalf("byte %d is %#x after a discard and was %#x", off+i, b, m.model[off+i])
		}
	}
	copy(m.model[off:], p)
}

func (m *machine) flush(t *rapid.T) {
	if err := m.disk.Flush(); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) reopen(t *rapid.T) {
	if err := m.disk.Close(); err != nil {
		t.Fatal(err)
	}
	m.disk = m.r.open(t, m.dir, m.path)
}

// Many requests at a time, each in its own part of the disk but within shared
// clusters and tables, beside discards, flushes and reads of everything.
func TestQCOW2Concurrent(t *testing.T) {
	disktest.Need(t)
	for _, name := range []string{"clusters of 512 bytes", "version 3", "over qcow2", "a snapshot", "deflated"} {
		t.Run(name, func(t *testing.T) {
			dir := disktest.Dir(t)
			r := recipes[name]
			path := r.make(t, dir)
			want := disktest.Contents(t, dir, "qcow2", path)
			d := r.open(t, dir, path)
			const workers, unit = 16, 1536
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() { // every workers-th unit is this worker's
					for round := range 3 {
						for at := w * unit; at+unit <= len(want); at += workers * unit {
							p := want[at : at+unit]
							copy(p, noise(uint64(round*workers+w), unit))
							if _, err := d.WriteAt(p, int64(at)); err != nil {
								t.Error(err)
								return
							}
							got := make([]byte, unit)
							if _, err := d.ReadAt(got, int64(at)); err != nil || !bytes.Equal(got, p) {
								t.Errorf("read back at %d: %v", at, err)
								return
							}
						}
						if err := d.Flush(); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
			if err := d.Close(); err != nil {
				t.Fatal(err)
			}
			if n := disktest.Check(t, "qcow2", path); n > 0 {
				t.Errorf("%d clusters leak", n)
			}
			if !bytes.Equal(disktest.Contents(t, dir, "qcow2", path), want) {
				t.Error("QEMU reads something else")
			}
		})
	}
}

// Discards of clusters that requests are using, and their reuse by others.
func TestQCOW2DiscardUnderFire(t *testing.T) {
	disktest.Need(t)
	dir := disktest.Dir(t)
	r := recipe{options: "cluster_size=4k", size: 4 << 20}
	path := r.make(t, dir)
	d := r.open(t, dir, path)
	const half = 2 << 20
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for i := range 2 { // the lower half is written and discarded all the time
		wg.Go(func() {
			p := bytes.Repeat([]byte{0xaa}, 16<<10)
			for at := int64(0); ; at = (at + 12<<10) % (half - 16<<10) {
				select {
				case <-stop:
					return
				default:
				}
				var err error
				if i == 0 {
					_, err = d.WriteAt(p, at)
				} else if err = d.Discard(at, 16<<10); err == nil {
					err = d.Flush()
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	want := noise(5, half) // the upper half is written once, into reused clusters
	for at := 0; at < half; at += 4096 {
		if _, err := d.WriteAt(want[at:at+4096], int64(half+at)); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	wg.Wait()
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if n := disktest.Check(t, "qcow2", path); n > 0 {
		t.Errorf("%d clusters leak", n)
	}
	if !bytes.Equal(disktest.Contents(t, dir, "qcow2", path)[half:], want) {
		t.Error("a write landed in another cluster")
	}
}

func TestQCOW2Backing(t *testing.T) {
	disktest.Need(t)
	dir := disktest.Dir(t)
	secret := filepath.Join(disktest.Dir(t), "secret")
	if err := os.WriteFile(secret, noise(1, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	base := filepath.Join(dir, "base.raw")
	os.WriteFile(base, noise(2, 1<<20), 0o600)
	os.Symlink(secret, filepath.Join(dir, "link.raw"))
	image := func(t *testing.T, name, format string) string {
		path := filepath.Join(dir, t.Name()[strings.LastIndexByte(t.Name(), '/')+1:]+".qcow2")
		disktest.Img(t, "create", "-q", "-f", "qcow2", path, "1M")
		said := format
		if said == "" {
			said = "raw" // QEMU insists: forget it afterwards
		}
		disktest.Img(t, "rebase", "-q", "-u", "-b", name, "-F", said, path)
		if format == "" {
			forgetBackingFormat(t, path)
		}
		return path
	}
	allow := Backing{Dirs: []string{dir}}
	for _, tt := range []struct {
		name, backing, format string
		allowed               Backing
		want                  string // of the error, "" for none
	}{
		{"none allowed", "base.raw", "raw", Backing{}, "not allowed"},
		{"in the directory", "base.raw", "raw", allow, ""},
		{"by its path", base, "raw", Backing{Files: []string{base}}, ""},
		{"by another path", base, "raw", Backing{Files: []string{secret}}, "not allowed"},
		{"outside", secret, "raw", allow, "not allowed"},
		{"outside by dots", "../../../../../../../../etc/passwd", "raw", allow, "not allowed"},
		{"outside by a link", "link.raw", "raw", allow, "escapes"},
		{"a protocol", "nbd:localhost:10809", "raw", allow, "not a plain path"},
		{"json", `json:{"driver":"file","filename":"/etc/passwd"}`, "raw", allow, "not a plain path"},
		{"not there", "gone.raw", "raw", allow, "no such file"},
		{"a directory", ".", "raw", Backing{Dirs: []string{filepath.Dir(dir)}}, "neither a regular file"},
		{"no format", "base.raw", "", allow, "does not say its format"},
		{"guessed", "base.raw", "", Backing{Dirs: []string{dir}, Guess: true}, ""},
		{"a format that is none", "base.raw", "qed", allow, "not one of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := image(t, tt.backing, tt.format)
			d, _, err := Open(context.Background(), path, Options{Format: QCOW2, Backing: tt.allowed})
			if tt.want != "" {
				if err == nil {
					d.Close()
				}
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Fatalf("Open = %v, want an error with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			p := make([]byte, 4096)
			if _, err := d.ReadAt(p, 8192); err != nil || !bytes.Equal(p, noise(2, 1<<20)[8192:][:4096]) {
				t.Errorf("the backing file's content is not there: %v", err)
			}
		})
	}
}

// An image that is its own backing file, and a chain that is too long, must end.
func TestQCOW2BackingLoop(t *testing.T) {
	disktest.Need(t)
	dir := disktest.Dir(t)
	path := filepath.Join(dir, "loop.qcow2")
	disktest.Img(t, "create", "-q", "-f", "qcow2", path, "1M")
	disktest.Img(t, "rebase", "-q", "-u", "-b", path, "-F", "qcow2", path)
	for _, ro := range []bool{true, false} {
		_, _, err := Open(context.Background(), path, Options{Format: QCOW2, ReadOnly: ro, Backing: Backing{Dirs: []string{dir}}})
		if !errors.Is(err, ErrBacking) && !errors.Is(err, ErrLocked) {
			t.Errorf("Open = %v", err)
		}
	}
}

// QEMU's tools and we keep out of each other's way.
func TestQCOW2Lock(t *testing.T) {
	disktest.Need(t)
	r := recipe{size: 1 << 20}
	dir := disktest.Dir(t)
	path := r.make(t, dir)
	d := r.open(t, dir, path)
	if out, err := qemuIO("qcow2", path, "write 0 4k"); err == nil || !strings.Contains(out, "lock") {
		t.Errorf("qemu-io wrote to an image that we have open: %v\n%s", err, out)
	}
	d.Close()
	stop := holdWithQEMU(t, path)
	if _, _, err := Open(context.Background(), path, Options{Format: QCOW2}); !errors.Is(err, ErrLocked) {
		t.Errorf("Open of an image that QEMU has open = %v", err)
	}
	stop()
	d = r.open(t, dir, path)
	d.Close()
}
