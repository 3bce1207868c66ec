package disks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"goxl/blkback/disk"
	"goxl/blkback/mirror"
	"goxl/domains/config"
	"goxl/migrate/stream"
)

// TestMove copies a disk that its guest writes to, in both formats, with holes and a last
// block that is short.
func TestMove(t *testing.T) {
	for _, format := range []string{"raw", "qcow2"} {
		t.Run(format, func(t *testing.T) {
			const size = 20<<20 + 512
			s := serve(t, format, size)
			s.write(0, noise(1, 3<<20))
			s.write(8<<20+512, noise(2, 512))
			s.write(size-512, noise(3, 512))
			dir := t.TempDir()
			target := filepath.Join(dir, "disk")
			m := s.move(target)
			n := 0
			m.Sender.Progress = func(p Progress) {
				if n++; n < 12 { // the guest: new places, old ones, zeroes
					s.write(int64(n)<<20, noise(byte(n), 600<<10))
					s.write(0, noise(byte(n), 512))
				}
				if n == 8 {
					s.write(1<<20, make([]byte, 128<<10))
				}
				if p.Done > p.Total {
					t.Errorf("%+v", p)
				}
			}
			if err := m.all(); err != nil {
				t.Fatal(err)
			}
			if got, want := content(t, target, format), s.content(); !bytes.Equal(got, want) {
				t.Error("the copy is another disk")
			}
			only(t, dir, "disk")
			if err := m.Keep(); err != nil {
				t.Error(err)
			}
			if len(m.Rounds) < 2 || m.Rounds[0].Read < size || m.Rounds[0].Sent >= size*3/4 || s.settled != 1 || m.kinds[stream.TypeDiskZero] == 0 {
				t.Errorf("rounds %+v, settled %d times, records %v", m.Rounds, s.settled, m.kinds)
			}
			var st unix.Stat_t
			if err := unix.Stat(target, &st); err != nil || st.Blocks*512 > 15<<20 || st.Mode&0o777 != 0o600 {
				t.Errorf("it takes %d bytes, mode %o, %v", st.Blocks*512, st.Mode, err)
			}
			if d, err := os.ReadFile(s.what.Path); err != nil || len(d) == 0 {
				t.Errorf("the source: %v", err)
			}
			if err := errors.Join(m.Discard(), m.Discard()); err != nil {
				t.Errorf("discard after keep: %v", err)
			}
			only(t, dir, "disk")
		})
	}
}

// TestAgain ends the blkback in every phase of a copy. While the guest runs the copy goes
// on with the next one; what has not changed is not sent again. After that it fails.
func TestAgain(t *testing.T) {
	s := serve(t, "raw", 8<<20)
	s.write(0, noise(1, 8<<20))
	m := s.move(filepath.Join(t.TempDir(), "disk"))
	n, said := 0, 0
	m.Sender.Notice = func(string) { said++ }
	m.Sender.Progress = func(Progress) {
		if n++; n == 3 || n == 9 {
			s.write(5<<20, noise(byte(n), 64<<10)) // told to the old one, or while there was none
			s.restart()
			s.write(6<<20, noise(byte(n), 64<<10))
		}
	}
	if err := m.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Converge(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.write(1<<20, noise(9, 64<<10))
	if err := m.Finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Publish(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content(t, m.target, "raw"), s.content()) || said != 2 {
		t.Errorf("the copy is another disk, or it was said %d times that blkback ended", said)
	}
	if r := m.Rounds[0]; r.Read <= 8<<20 || r.Sent > 8<<20+4*64<<10 {
		t.Errorf("round %+v", r)
	}
	m.Sender.Close()
	awaitClosed(t, s)

	m = s.move(filepath.Join(t.TempDir(), "disk"))
	m.Sender.Progress = func(Progress) { s.restart() }
	if err := m.all(); !errors.Is(err, mirror.ErrLost) {
		t.Errorf("one that ends again and again: %v", err)
	}
	awaitClosed(t, s)
	m = s.move(filepath.Join(t.TempDir(), "disk"))
	if err := errors.Join(m.Open(t.Context()), m.Converge(t.Context())); err != nil {
		t.Fatal(err)
	}
	s.restart()
	if err := m.Finish(t.Context()); !errors.Is(err, mirror.ErrLost) {
		t.Errorf("while the guest was suspended: %v", err)
	}
	if err := m.Publish(); err == nil {
		t.Error("it was published")
	}
	if err := m.Discard(); err != nil {
		t.Error(err)
	}
	only(t, filepath.Dir(m.target))
}

// TestEveryRecord loses, and then damages, each record in turn: the copy is never given
// its name, and nothing is left.
func TestEveryRecord(t *testing.T) {
	for _, format := range []string{"raw", "qcow2"} {
		for _, how := range []string{"lost", "damaged"} {
			for nth := 0; ; nth++ {
				s := serve(t, format, 2<<20)
				s.write(0, noise(1, 256<<10))
				s.write(1<<20, noise(2, 64<<10))
				dir := t.TempDir()
				m := s.move(filepath.Join(dir, "disk"))
				n, hit, harmless := 0, false, false
				m.each = func(b stream.Body) stream.Body {
					if n++; n != nth+1 {
						return b
					}
					hit = true
					_, harmless = b.(*stream.DiskRound) // it only says when to look
					if how == "lost" {
						return nil
					}
					return damaged(b)
				}
				m.Sender.Progress = func(p Progress) {
					if p.Round == 0 && p.Done == p.Total {
						s.write(0, make([]byte, 64<<10))
						s.write(512<<10, noise(4, 256<<10))
					}
				}
				err := m.all()
				if !hit {
					if err != nil || nth < 6 {
						t.Errorf("%s: %d records, %v", format, nth, err)
					}
					break
				}
				if err == nil && !harmless {
					t.Errorf("%s, record %d %s: no error", format, nth, how)
				}
				if err := m.Discard(); err != nil {
					t.Errorf("%s, record %d %s: %v", format, nth, how, err)
				}
				only(t, dir)
			}
		}
	}
}

// damaged is a record that is not what was sent.
func damaged(b stream.Body) stream.Body {
	switch b := b.(type) {
	case *stream.DiskBegin:
		c := *b
		c.Size += 512
		return &c
	case *stream.DiskData:
		c := *b
		c.Data = bytes.Clone(b.Data)
		c.Data[len(c.Data)/2] ^= 4
		return &c
	case *stream.DiskZero:
		c := *b
		c.Offset += 64 << 10
		return &c
	case *stream.DiskEnd:
		c := *b
		c.Sum[7] ^= 1
		return &c
	}
	return b
}

// TestRefused has records that a sound sender would not send, and places where no disk may
// be put. Nothing is left, and what was there before is.
func TestRefused(t *testing.T) {
	begin := &stream.DiskBegin{Size: 1 << 20, Format: "raw", Name: "xvda"}
	edit := func(f func(b *stream.DiskBegin)) []stream.Body {
		b := *begin
		f(&b)
		return []stream.Body{&b}
	}
	for _, tt := range []struct {
		name   string
		target string // in the folder
		before string // what is there
		bodies []stream.Body
		want   string
	}{
		{"another number", "d", "", edit(func(b *stream.DiskBegin) { b.Disk = 1 }), "it comes after 0 others"},
		{"another name", "d", "", edit(func(b *stream.DiskBegin) { b.Name = "xvdb" }), "has none of that name"},
		{"another format", "d", "", edit(func(b *stream.DiskBegin) { b.Format = "qcow2" }), "its format is qcow2 there, and raw"},
		{"twice", "d", "", append(edit(func(*stream.DiskBegin) {}), edit(func(b *stream.DiskBegin) { b.Disk = 1 })...), "in one file"},
		{"no room", "d", "", edit(func(b *stream.DiskBegin) { b.Size, b.Used = 8<<40, 8<<40 }), "has no room"},
		{"it is there", "d", "file", edit(func(*stream.DiskBegin) {}), "--overwrite-disks"},
		{"a folder is there", "d", "dir", edit(func(b *stream.DiskBegin) { b.Overwrite = true }), "no file that could be replaced"},
		{"a link is there", "d", "link", edit(func(b *stream.DiskBegin) { b.Overwrite = true }), "no file that could be replaced"},
		{"in use", "d", "used", edit(func(b *stream.DiskBegin) { b.Overwrite = true }), "another process uses the file"},
		{"the last one was killed", "d", "replaced", edit(func(b *stream.DiskBegin) { b.Overwrite = true }), "has left it"},
		{"no folder", "x/d", "", edit(func(*stream.DiskBegin) {}), "no such file"},
		{"not announced", "d", "", []stream.Body{&stream.DiskData{Data: make([]byte, 512)}}, "not announced"},
		{"part of a block", "d", "", []stream.Body{begin, &stream.DiskData{Data: make([]byte, 512)}}, "no blocks of 65536"},
		{"between blocks", "d", "", []stream.Body{begin, &stream.DiskZero{Offset: 512, Length: 64 << 10}}, "no blocks of 65536"},
		{"beyond the end", "d", "", []stream.Body{begin, &stream.DiskZero{Offset: 1 << 20, Length: 64 << 10}}, "no blocks of 65536"},
		{"far beyond the end", "d", "", []stream.Body{begin, &stream.DiskZero{Offset: 1<<64 - 65536, Length: 1 << 17}}, "no blocks of 65536"},
		{"the wrong end", "d", "", []stream.Body{begin, &stream.DiskEnd{}}, "its checksum is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, tt.target)
			var left []string
			must := func(err error) {
				if err != nil {
					t.Fatal(err)
				}
			}
			switch tt.before {
			case "file", "used":
				must(os.WriteFile(path, make([]byte, 512), 0o600))
				left = []string{"d"}
				if tt.before == "used" {
					d, _, err := disk.Open(t.Context(), path, disk.Options{Format: disk.Raw})
					must(err)
					defer d.Close()
				}
			case "dir":
				must(os.Mkdir(path, 0o700))
				left = []string{"d"}
			case "link":
				must(os.Symlink("/etc/passwd", path))
				left = []string{"d"}
			case "replaced":
				must(errors.Join(os.WriteFile(path, make([]byte, 512), 0o600), os.WriteFile(path+replacedSuffix, nil, 0o600)))
				left = []string{"d", "d" + replacedSuffix}
			}
			r := &Receiver{Targets: map[string]Target{"xvda": {path, "raw"}}}
			var err error
			for _, b := range tt.bodies {
				if err == nil {
					_, err = r.Take(t.Context(), b)
				}
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if err := r.Discard(); err != nil {
				t.Error(err)
			}
			only(t, dir, left...)
		})
	}
	for _, path := range []string{"relative", "/dev/xvda", "/proc/x", "/tmp/../dev/x"} {
		if err := (Place{Path: path, Size: 512}).Admit(); err == nil {
			t.Errorf("%s is admitted", path)
		}
	}
}

// TestOverwrite replaces a file, and brings it back, or not.
func TestOverwrite(t *testing.T) {
	for _, keep := range []bool{true, false} {
		s := serve(t, "raw", 1<<20)
		s.write(0, noise(1, 1<<20))
		dir := t.TempDir()
		target := filepath.Join(dir, "disk")
		if err := os.WriteFile(target, noise(7, 4096), 0o644); err != nil {
			t.Fatal(err)
		}
		m := s.move(target)
		m.Sender.Overwrite = true
		if err := m.all(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(content(t, target, "raw"), noise(1, 1<<20)) {
			t.Error("another disk has the name")
		}
		only(t, dir, "disk", "disk"+replacedSuffix)
		want, end := noise(7, 4096), m.Discard
		if keep {
			want, end = noise(1, 1<<20), m.Keep
		}
		if err := end(); err != nil {
			t.Error(err)
		}
		only(t, dir, "disk")
		if got := content(t, target, "raw"); !bytes.Equal(got, want) {
			t.Errorf("keep %t: %d bytes", keep, len(got))
		}
	}
}

// TestStale takes over what a receiver that was killed has left, but not what another one
// writes to.
func TestStale(t *testing.T) {
	s := serve(t, "qcow2", 1<<20)
	s.write(0, noise(1, 512))
	dir := t.TempDir()
	target := filepath.Join(dir, "disk")
	first := s.move(target)
	if err := first.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	first.Sender.Close()
	awaitClosed(t, s)
	second := s.move(target)
	if err := second.all(); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("beside another: %v", err)
	}
	second.Sender.Close()
	first.in[0].disk.Close() // as a kill does
	awaitClosed(t, s)
	third := s.move(target)
	if err := third.all(); err != nil {
		t.Error(err)
	}
	only(t, dir, "disk")
}

// TestFind names the disks that cannot go along.
func TestFind(t *testing.T) {
	s := serve(t, "qcow2", 1<<20)
	disks := func(list ...config.Disk) *config.Spec { return &config.Spec{Disks: list} }
	one := func(name string) config.Disk {
		return config.Disk{VDev: config.Some(name), Path: config.Some(s.what.Path), Format: config.FormatQCOW2}
	}
	list, refused := Find(t.Context(), s.dir, 3, disks(one("xvda"), config.Disk{VDev: config.Some("xvdd"), IsCDROM: 1}))
	if len(refused) > 0 || len(list) != 1 || list[0].Name != "xvda" || list[0].Disk != s.what || list[0].Flattened || list[0].Used == 0 {
		t.Errorf("%+v, %v", list, refused)
	}
	other := one("xvdc")
	other.Backend.DomID = 5
	list, refused = Find(t.Context(), s.dir, 3, disks(one("xvda"), one("xvdb"), other, one("nonsense")))
	text := fmt.Sprint(refused)
	for _, want := range []string{"xvdb (" + s.what.Path + ") cannot go along: goxl's blkback does not serve it", "xvdc", "another domain serves it", "nonsense"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\nlacks %q", text, want)
		}
	}
	if len(list) != 1 || len(refused) != 3 {
		t.Errorf("%v, %v", list, refused)
	}
	if _, refused = Find(t.Context(), t.TempDir(), 3, disks(one("xvda"))); len(refused) != 1 || !strings.Contains(refused[0].Error(), "none runs here") {
		t.Errorf("without blkback: %v", refused)
	}
	s.stop()
	s.what.Format = "vhd"
	s.start()
	if _, refused = Find(t.Context(), s.dir, 3, disks(one("xvda"))); len(refused) != 1 || !strings.Contains(refused[0].Error(), "only raw and qcow2") {
		t.Errorf("of another format: %v", refused)
	}
}

// TestSourceFails has the host's disk fail, and the context end.
func TestSourceFails(t *testing.T) {
	s := serve(t, "raw", 4<<20)
	s.write(0, noise(1, 4<<20))
	m := s.move(filepath.Join(t.TempDir(), "disk"))
	m.Sender.Progress = func(Progress) { s.failing.Store(true) }
	if err := m.all(); err == nil || !strings.Contains(err.Error(), "disk xvda") {
		t.Error(err)
	}
	s.failing.Store(false)
	awaitClosed(t, s)
	m = s.move(filepath.Join(t.TempDir(), "disk"))
	ctx, cancel := context.WithCancel(t.Context())
	m.Sender.Progress = func(Progress) { cancel() }
	if err := errors.Join(m.Open(ctx), m.Converge(ctx)); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestFull has the folder fill up while the disk comes, which nobody could know before.
func TestFull(t *testing.T) {
	for _, format := range []string{"raw", "qcow2"} {
		dir := t.TempDir()
		if err := unix.Mount("none", dir, "tmpfs", 0, "size=2m"); err != nil {
			t.Skipf("a file system that is full needs a mount: %v", err)
		}
		t.Cleanup(func() { unix.Unmount(dir, 0) })
		s := serve(t, format, 4<<20)
		s.write(0, noise(1, 4<<20))
		m := s.move(filepath.Join(dir, "disk"))
		if err := m.all(); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "disk xvda") {
			t.Errorf("%s: %v", format, err)
		}
		if err := m.Discard(); err != nil {
			t.Error(err)
		}
		only(t, dir)
		m = s.move(filepath.Join(dir, "disk"))
		m.Sender.Disks[0].Used = 4 << 20
		m.Sender.Close()
		awaitClosed(t, s)
		if err := m.all(); !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "it takes 4194304 bytes") {
			t.Errorf("%s, told before: %v", format, err)
		}
		only(t, dir)
	}
}
