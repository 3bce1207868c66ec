package disks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"goxl/blkback/disk"
	"goxl/blkback/mirror"
	"goxl/migrate/stream"
)

// served is a disk in a file that a blkback of the test serves, and writes to.
type served struct {
	t       testing.TB
	dir     string
	disk    disk.Disk
	what    mirror.Disk
	mu      sync.Mutex
	tracker *mirror.Tracker
	stop    func()
	settled int
	failing atomic.Bool // reads do
}

// serve makes a disk, and what tells of it.
func serve(t testing.TB, format string, size int64) *served {
	t.Helper()
	s := &served{t: t, dir: shortDir(t)}
	path := filepath.Join(s.dir, "source")
	if err := disk.Create(path, disk.Format(format), size); err != nil {
		t.Fatal(err)
	}
	var err error
	if s.disk, _, err = disk.Open(t.Context(), path, disk.Options{Format: disk.Format(format)}); err != nil {
		t.Fatal(err)
	}
	s.what = mirror.Disk{ID: mirror.ID{Dom: 3, Dev: 51712}, Path: path, Format: format, Size: size}
	s.start()
	t.Cleanup(func() { s.stop(); s.disk.Close() })
	return s
}

// shortDir is a folder whose path leaves room for a socket.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "disks")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func (s *served) start() {
	s.t.Helper()
	stop, err := mirror.Serve(s.dir, s, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.stop = stop
}

// restart kills the blkback and starts the next one.
func (s *served) restart() {
	s.stop()
	s.start()
}

func (s *served) Disks() []mirror.Disk { return []mirror.Disk{s.what} }
func (s *served) Disk() mirror.Disk    { return s.what }

func (s *served) Mirror(id mirror.ID) (mirror.Mirror, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != s.what.ID || s.tracker != nil {
		return nil, errors.New("no such disk")
	}
	var err error
	s.tracker, err = mirror.NewTracker(s.what.Size)
	return s, err
}

func (s *served) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tracker = nil
}

func (s *served) ReadAt(p []byte, off int64) (int, error) {
	if s.failing.Load() {
		return 0, io.ErrUnexpectedEOF
	}
	return s.disk.ReadAt(p, off)
}

func (s *served) Take(set mirror.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tracker.Take(set)
}

func (s *served) Settle(context.Context) error { s.settled++; return nil }

// write is what a guest does.
func (s *served) write(off int64, b []byte) {
	s.t.Helper()
	if _, err := s.disk.WriteAt(b, off); err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tracker != nil {
		s.tracker.Mark(off, int64(len(b)))
	}
}

// content is all that it holds.
func (s *served) content() []byte {
	b := make([]byte, s.what.Size)
	if _, err := s.disk.ReadAt(b, 0); err != nil {
		s.t.Fatal(err)
	}
	return b
}

func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// content is all that a disk holds.
func content(t testing.TB, path, format string) []byte {
	t.Helper()
	d, _, err := disk.Open(t.Context(), path, disk.Options{Format: disk.Format(format), ReadOnly: true})
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

// move is a disk on its way from s to a Receiver in the same process.
type move struct {
	*Sender
	*Receiver
	s      *served
	target string
	// each, if set, is called with each record; what it returns arrives.
	each  func(stream.Body) stream.Body
	kinds map[stream.Type]int
}

func (s *served) move(target string) *move {
	m := &move{s: s, target: target, kinds: map[stream.Type]int{}}
	m.Receiver = &Receiver{Targets: map[string]Target{"xvda": {target, s.what.Format}}}
	m.Sender = &Sender{Dir: s.dir, Disks: []Disk{{Disk: s.what, Name: "xvda"}}}
	m.Sender.Write = func(b stream.Body) error {
		m.kinds[b.Type()]++
		if m.each != nil {
			if b = m.each(b); b == nil {
				return nil
			}
		}
		ours, err := m.Receiver.Take(s.t.Context(), b)
		if !ours {
			s.t.Errorf("%v is not taken for a record of a disk", b.Type())
		}
		return err
	}
	s.t.Cleanup(m.Sender.Close)
	return m
}

// all does everything up to the name.
func (m *move) all() error {
	ctx := m.s.t.Context()
	defer m.Sender.Close()
	for _, step := range []func() error{
		func() error { return m.Open(ctx) }, func() error { return m.Converge(ctx) }, func() error { return m.Finish(ctx) }, m.Publish,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// only fails the test unless these files are in a folder.
func only(t testing.TB, dir string, want ...string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range list {
		got = append(got, f.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("in the folder are %v, want %v", got, want)
	}
}

func awaitClosed(t testing.TB, s *served) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		s.mu.Lock()
		open := s.tracker != nil
		s.mu.Unlock()
		if !open {
			return
		}
	}
	t.Fatal("the mirror stays")
}
