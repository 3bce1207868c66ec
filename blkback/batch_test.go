package blkback

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"goxl/backends"
	"goxl/backends/backtest"
	"goxl/blkback/blkif"
	"goxl/blkback/disk"
)

// directDisk is a raw file of n bytes, past the page cache.
func directDisk(t testing.TB, n int) (disk.Disk, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, make([]byte, n), 0o600); err != nil {
		t.Fatal(err)
	}
	d, info, err := disk.Open(t.Context(), path, disk.Options{Format: disk.Raw, Direct: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	if !info.Direct {
		t.Skipf("no direct I/O on %s: set TMPDIR to a file system that has it", path)
	}
	if b, err := disk.NewBatch(d, 1); errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	} else if err := errors.Join(err, b.Close()); err != nil {
		t.Fatal(err)
	}
	return d, path
}

// TestBatch writes a disk through the batch, each block another one, and reads it. What
// is not aligned goes to the workers meanwhile.
func TestBatch(t *testing.T) {
	const blocks = 256
	d, path := directDisk(t, blocks<<12)
	f, q, stop := serving(t, d, blkif.X86_64, 1)
	p := guestPages(f.g, 16)
	for i := 0; i < blocks; i += len(p) {
		for k := range p {
			copy(p[k].Bytes, bytes.Repeat([]byte{byte(i + k), 7}, 2048))
			if s := f.do(f.data(blkif.Write, uint64(i+k)*8, whole(p[k:k+1]))); s != blkif.OK {
				t.Fatalf("write of block %d: %d", i+k, s)
			}
		}
	}
	part := []blkif.Segment{{Ref: p[0].Ref, First: 3, Last: 4}}
	copy(p[0].Bytes[3*512:], bytes.Repeat([]byte{99}, 1024))
	if s := f.do(f.data(blkif.Write, 5, part)); s != blkif.OK {
		t.Fatalf("write of two sectors: %d", s)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range blocks {
		want := bytes.Repeat([]byte{byte(i), 7}, 2048)
		if i == 0 {
			copy(want[5*512:], bytes.Repeat([]byte{99}, 1024))
		}
		if !bytes.Equal(got[i<<12:][:4096], want) {
			t.Fatalf("block %d of the file is another", i)
		}
	}
	clear(p[1].Bytes)
	if s := f.do(f.data(blkif.Read, 200*8, whole(p[1:2]))); s != blkif.OK || !bytes.Equal(p[1].Bytes, got[200<<12:][:4096]) {
		t.Errorf("read of block 200: %d", s)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if q.batch == nil {
		t.Error("there was no batch")
	}
}

// TestBatchFallsShort reads where the file has ended meanwhile: an error for the guest,
// and none of what its pages held or the host's memory.
func TestBatchFallsShort(t *testing.T) {
	d, path := directDisk(t, 64<<10)
	f, q, _ := serving(t, d, blkif.X86_64, 1)
	if err := os.Truncate(path, 4096); err != nil {
		t.Fatal(err)
	}
	p := guestPages(f.g, 2)
	if s := f.do(f.data(blkif.Read, 0, whole(p))); s != blkif.Error || p[0].Bytes[0] != 0 {
		t.Errorf("read across the end: %d", s)
	}
	if s := f.do(f.data(blkif.Read, 0, whole(p[:1]))); s != blkif.OK {
		t.Errorf("read before the end: %d", s)
	}
	if s := q.stats.snapshot(); s.Errors != 1 {
		t.Errorf("counted %+v", s)
	}
}

// TestLockOutlivesProcess opens a disk whose file is locked yet, as by the requests of a
// process that was killed: with a journal to go on with the driver waits for the end of
// the lock, without one it says at once that the file is in use.
func TestLockOutlivesProcess(t *testing.T) {
	d, path := directDisk(t, 64<<10)
	drv, err := NewDriver(Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	m := backtest.New(t)
	f := newFrontRing(t, m.Guest(7), blkif.X86_64, 1)
	id := backends.ID{Dom: 7, Dev: vdev}
	if _, _, err := drv.openDisk(context.Background(), id, place{path: path, format: disk.Raw}, false); !errors.Is(err, disk.ErrLocked) {
		t.Fatalf("without a journal: %v", err)
	}
	p := &params{id: newConnectionID(), layout: f.layout, pages: 1, queues: []queueParams{{port: f.port.ID, refs: f.refs()}}}
	j, err := createJournal(drv.opt.journalPath(id), p)
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	opened := make(chan error, 1)
	go func() {
		dk, _, err := drv.openDisk(context.Background(), id, place{path: path, format: disk.Raw}, false)
		if err == nil {
			err = dk.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("opened while it is locked: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	d.Close()
	if err := <-opened; err != nil {
		t.Error(err)
	}
}
