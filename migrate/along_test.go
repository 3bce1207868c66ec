package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/backends"
	"goxl/blkback"
	"goxl/blkback/disk"
	"goxl/blkback/mirror"
	"goxl/domains/config"
	"goxl/migrate/disks"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// dom0 is the blkback of a host in memory: the real one, but that no guest connects to it,
// so that a guest's writes are made by the test.
type dom0 struct {
	*blkback.Driver
	w    *world
	dir  string // its state folder
	stop func()

	mu      sync.Mutex
	mirrors []*written
}

// written is a mirror that knows of the test's writes, too.
type written struct {
	mirror.Mirror
	own *mirror.Tracker
}

func (m *written) Take(s mirror.Set) {
	m.Mirror.Take(s)
	m.own.Take(s)
}

// noXen is for guests that do not connect.
type noXen struct{}

func (noXen) OpenGrants() (backends.Grants, error) { return nil, errors.ErrUnsupported }
func (noXen) OpenEvents() (backends.Events, error) { return nil, errors.ErrUnsupported }
func (noXen) OpenPolledEvents() (backends.PolledEvents, error) {
	return nil, errors.ErrUnsupported
}

// serveDisks starts a blkback.
func (w *world) serveDisks() *dom0 {
	w.Helper()
	d := &dom0{w: w, dir: filepath.Dir(w.m.Host().Blkback)}
	var err error
	if d.Driver, err = blkback.NewDriver(blkback.Options{Dir: d.dir}); err != nil {
		w.Fatal(err)
	}
	lock, err := os.OpenFile(w.m.Host().Blkback, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err == nil {
		_, err = lock.WriteString("formats raw qcow2\n")
	}
	if err != nil {
		w.Fatal(err)
	}
	store, err := xenstore.Dial(w.Context(), xenstore.WithConn(w.srv.Pipe(0)))
	if err != nil {
		w.Fatal(err)
	}
	m := backends.New(backends.Options{Store: store, Xen: noXen{}, Kind: blkback.Kind, FrontKind: blkback.FrontKind, Driver: d.Driver})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	d.listen()
	w.Cleanup(func() {
		d.stop()
		cancel()
		if err := <-done; err != nil {
			w.Error(err)
		}
		store.Close()
		lock.Close()
	})
	return d
}

func (d *dom0) listen() {
	d.w.Helper()
	stop, err := mirror.Serve(d.dir, d, nil)
	if err != nil {
		d.w.Fatal(err)
	}
	d.stop = stop
}

// Mirror is of mirror.Source.
func (d *dom0) Mirror(id mirror.ID) (mirror.Mirror, error) {
	m, err := d.Driver.Mirror(id)
	if err != nil {
		return nil, err
	}
	own, err := mirror.NewTracker(m.Disk().Size)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	w := &written{m, own}
	d.mirrors = append(d.mirrors, w)
	return w, nil
}

// write is what a guest does to its raw disk.
func (d *dom0) write(path string, off int64, b []byte) {
	d.w.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		d.w.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, off); err != nil {
		d.w.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.mirrors {
		if m.Disk().Path == path {
			m.own.Mark(off, int64(len(b)))
		}
	}
}

// withDisks gives the guest that will be booted two disks, and both hosts a blkback.
func (p *pair) withDisks(t *testing.T) {
	t.Helper()
	p.here, p.there = p.src.serveDisks(), p.dst.serveDisks()
	for i, format := range []string{"raw", "qcow2"} {
		name := fmt.Sprintf("xvd%c", 'a'+i)
		from, to := filepath.Join(p.src.dir, name), filepath.Join(t.TempDir(), name)
		if err := disk.Create(from, disk.Format(format), 3<<20); err != nil {
			t.Fatal(err)
		}
		d, _, err := disk.Open(t.Context(), from, disk.Options{Format: disk.Format(format)})
		if err == nil {
			_, err = d.WriteAt(noise(byte(i), 300<<10), 1<<20)
			err = errors.Join(err, d.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		f := config.Disk{VDev: config.Some(name), Path: config.Some(from), Format: config.FormatRaw, ReadWrite: 1, BackendType: config.DiskQDisk}
		if format == "qcow2" {
			f.Format, f.BackendType = config.FormatQCOW2, config.DiskBackendUnknown
		}
		p.src.disks = append(p.src.disks, f)
		p.disks = append(p.disks, moved{name, format, from, to})
	}
}

// moved is a disk, here and there.
type moved struct{ name, format, from, to string }

// going has the disks of the guest go along, to their places on the other host.
func (p *pair) going(t *testing.T) {
	t.Helper()
	spec, err := p.src.m.ConfigOf(t.Context(), p.id)
	if err != nil {
		t.Fatal(err)
	}
	list, refused := disks.Find(t.Context(), p.here.dir, p.id, spec)
	if len(refused) > 0 || len(list) != len(p.disks) {
		t.Fatalf("%v go along, not %v", list, refused)
	}
	p.send.Disks = &disks.Sender{Dir: p.here.dir, Disks: list}
	for i := range spec.Disks {
		spec.Disks[i].Path = config.Some(p.disks[i].to)
	}
	p.send.Config = spec
}

func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed, 7}).Read(b)
	return b
}

// holdsDisks checks what is left of the disks: those of a guest that is there are the same
// as here, and of one that is not there is nothing. Here all are in any case.
func (p *pair) holdsDisks(t *testing.T, there string) {
	t.Helper()
	for _, d := range p.disks {
		from := content(t, d.from, d.format)
		if !bytes.Contains(from, noise(d.name[3]-'a', 300<<10)) {
			t.Errorf("%s: the disk here has lost what it held", d.name)
		}
		list, err := os.ReadDir(filepath.Dir(d.to))
		if err != nil {
			t.Fatal(err)
		}
		if there == "nothing" {
			if len(list) > 0 {
				t.Errorf("%s: %v is left there", d.name, list)
			}
			continue
		}
		if len(list) != 1 || !bytes.Equal(content(t, d.to, d.format), from) {
			t.Errorf("%s: the disk there, in %v, is another", d.name, list)
		}
	}
}

// content is all that a disk holds, whoever uses it.
func content(t *testing.T, path, format string) []byte {
	t.Helper()
	d, _, err := disk.Open(t.Context(), path, disk.Options{Format: disk.Format(format), ReadOnly: true, NoLock: true})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := make([]byte, d.Size())
	if _, err := d.ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestAlong moves guests with their disks, to which they write while they are moved: during
// the disks' rounds, during those of the memory, and just before they are suspended. In the
// beginning of some their blkback is killed.
func TestAlong(t *testing.T) {
	for _, kind := range kinds {
		for _, as := range []string{"live", "quick", "packed", "directly", "blkback is killed"} {
			t.Run(fmt.Sprintf("%v, %s", kind, as), func(t *testing.T) {
				p := &pair{src: newWorld(t), dst: newWorld(t)}
				p.withDisks(t)
				p.id = p.src.boot(kind, bootOptions{})
				p.going(t)
				if as != "quick" {
					p.send.Live = &Live{FewPages: 1}
				}
				p.send.Packed = as == "packed"
				if as == "directly" {
					p.directly(t, 2)
				}
				raw := p.disks[0].from
				n := 0
				write := func() {
					if d, _ := p.src.xen.Domain(p.id); !d.Shutdown {
						n++
						p.here.write(raw, int64(n%15)<<16, noise(byte(n), 70<<10))
					}
				}
				p.send.Disks.Progress = func(disks.Progress) {
					write()
					if as == "blkback is killed" && n < 3 {
						p.here.stop()
						p.here.listen()
					}
				}
				rounds := 0
				busy := p.src.busy(p.id, &rounds)
				p.send.Progress = func(g Progress) { write(); busy(g) }
				p.src.beforeThat(write)
				p.send.Timeline = new(Timeline)
				outcome, err := p.migrate(t, migration{})
				if outcome != Moved || err != nil {
					t.Fatal(outcome, err)
				}
				p.holdsDisks(t, "runs")
				list := p.there.Disks()
				if len(list) != 2 || list[0].Path != p.disks[0].to || list[1].Path != p.disks[1].to {
					t.Errorf("there are served %+v", list)
				}
				tl := p.send.Timeline
				if len(tl.Disks) < 1 || tl.DiskRest.Read == 0 || tl.DiskRest.Sent == 0 || tl.Pause() < tl.DiskRest.Took || n < 5 {
					t.Errorf("%d writes; rounds %+v, rest %+v", n, tl.Disks, tl.DiskRest)
				}
			})
		}
	}
}

// TestAlongRefused has what goes wrong with a disk on either side. The guest runs on here,
// and nothing is left there, or what was there before.
func TestAlongRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(p *pair)
		want string // of the receiver's error, or the sender's
	}{
		{"a file is there", func(p *pair) { p.dst.must(os.WriteFile(p.disks[1].to, []byte("old"), 0o600)) }, "--overwrite-disks"},
		{"no folder", func(p *pair) { p.dst.must(os.Remove(filepath.Dir(p.disks[0].to))) }, "no such file"},
		{"the configuration lacks one", func(p *pair) { p.send.Config.Disks = p.send.Config.Disks[:1] }, "has none of that name"},
		{"another format", func(p *pair) { p.send.Config.Disks[1].Format = config.FormatRaw }, "its format is qcow2 there"},
		{"one is not sent", func(p *pair) { p.send.Disks.Disks = p.send.Disks.Disks[:1] }, "it did not come"},
		{"blkback ends while it is suspended", func(p *pair) {
			p.src.beforeThat(func() { p.here.stop() })
		}, "connection to blkback is lost"},
		{"the disk grows", func(p *pair) { p.dst.must(os.Truncate(p.disks[0].from, 8<<20)); p.look() }, "size has changed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &pair{src: newWorld(t), dst: newWorld(t)}
			p.withDisks(t)
			p.id = p.src.boot(config.TypePVH, bootOptions{})
			p.going(t)
			p.send.Live = new(Live)
			tt.edit(p)
			outcome, err := p.migrate(t, migration{})
			if outcome != StayedHere || !strings.Contains(fmt.Sprint(err, p.received), tt.want) {
				t.Errorf("outcome %d, %v; the receiver: %v; want %q", outcome, err, p.received, tt.want)
			}
			p.src.runs(p.id)
			p.dst.nothing()
			for _, d := range p.disks {
				list, _ := os.ReadDir(filepath.Dir(d.to))
				for _, f := range list {
					if b, err := os.ReadFile(filepath.Join(filepath.Dir(d.to), f.Name())); err != nil || string(b) != "old" {
						t.Errorf("%s is left", f.Name())
					}
				}
			}
		})
	}
}

// beforeThat has something done before all else that a guest does last.
func (w *world) beforeThat(f func()) {
	all := f
	if old := w.before.Load(); old != nil {
		all = func() { f(); (*old)() }
	}
	w.before.Store(&all)
}

// look has blkback look at the first disk's size.
func (p *pair) look() {
	path := backends.BackPath(0, blkback.Kind, backends.ID{Dom: abi.DomID(p.id), Dev: 51712})
	p.src.must(p.src.store.Write(p.src.Context(), path+"/resize", "1"))
	for end := time.Now().Add(10 * time.Second); p.here.Disks()[0].Size != 8<<20; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			p.src.Fatal("blkback does not see that the disk grew")
		}
	}
}
