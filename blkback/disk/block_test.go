package disk

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"goxl/blkback/disk/disktest"
)

// loopDevice makes a block device of a file. It needs root and the kernel's loop
// driver; where they are missing the test fails, since nothing else would notice.
func loopDevice(t *testing.T, content []byte, args ...string) (device, file string) {
	t.Helper()
	file = filepath.Join(disktest.Dir(t), "medium")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", append(args, "-f", "--show", file)...).CombinedOutput()
	if err != nil {
		t.Fatalf("losetup: %v\n%s", err, out)
	}
	device = strings.TrimSpace(string(out))
	t.Cleanup(func() { exec.Command("losetup", "-d", device).Run() })
	return device, file
}

func TestBlockDevice(t *testing.T) {
	want := noise(1, 1<<20)
	dev, file := loopDevice(t, want)
	d, info := mustOpen(t, dev, Options{Format: Raw, Direct: true})
	if d.Size() != 1<<20 || info.SectorSize != 512 || info.PhysicalSectorSize < 512 || info.DiscardGranularity == 0 || !info.Direct {
		t.Errorf("size %d, info %+v", d.Size(), info)
	}
	p := pages(8192)
	copy(p, noise(2, 8192))
	for _, w := range []struct {
		p   []byte
		off int64
	}{{p, 4096}, {p[1:100], 70_001}, {p[512:1024], 1<<20 - 512}} {
		if n, err := d.WriteAt(w.p, w.off); err != nil || n != len(w.p) {
			t.Errorf("WriteAt(%d bytes, %d) = %d, %v", len(w.p), w.off, n, err)
		}
		copy(want[w.off:], w.p)
	}
	if err := d.Discard(128<<10, 64<<10); err != nil {
		t.Error(err)
	}
	clear(want[128<<10 : 192<<10]) // as loop devices do it
	if err := d.Flush(); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(readAll(t, d), want) {
		t.Error("read something else")
	}
	if got, _ := os.ReadFile(file); !bytes.Equal(got, want) {
		t.Error("the medium holds something else")
	}
	if err := os.Truncate(file, 2<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("losetup", "-c", dev).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if n, err := d.(Refresher).Refresh(); err != nil || n != 2<<20 || d.Size() != 2<<20 {
		t.Errorf("after it has grown: Refresh = %d, %v", n, err)
	}
}

func TestBlockDeviceReadOnly(t *testing.T) {
	dev, _ := loopDevice(t, noise(1, 1<<20), "-r")
	if _, _, err := Open(context.Background(), dev, Options{Format: Raw}); err == nil {
		t.Error("a read-only device was opened for writing")
	}
	d, info := mustOpen(t, dev, Options{Format: Raw, ReadOnly: true})
	if !info.ReadOnly || !bytes.Equal(readAll(t, d), noise(1, 1<<20)) {
		t.Errorf("info %+v", info)
	}
}

// An image on a volume: what the volume held before must not show, and its end is a
// full disk.
func TestQCOW2OnBlockDevice(t *testing.T) {
	disktest.Need(t)
	dev, _ := loopDevice(t, bytes.Repeat([]byte{0xee}, 2<<20+4096))
	disktest.Img(t, "create", "-q", "-f", "qcow2", "-o", "cluster_size=64k", dev, "8M")
	d, _ := mustOpen(t, dev, Options{Format: QCOW2, Direct: true})
	want := make([]byte, 8<<20)
	var err error
	for off := 100; off < len(want) && err == nil; off += 64 << 10 {
		p := noise(uint64(off), 1000)
		if _, err = d.WriteAt(p, int64(off)); err == nil {
			copy(want[off:], p)
		}
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("writing 8 MiB into 2 MiB: %v", err)
	}
	if got := readAll(t, d); !bytes.Equal(got, want) {
		t.Error("what was there before shows, or a write is lost")
	}
	if err := d.Discard(0, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := d.Flush(); err != nil {
		t.Fatal(err)
	}
	clear(want[:1<<20])
	copy(want[4<<20:], noise(9, 128<<10))
	if _, err := d.WriteAt(want[4<<20:][:128<<10], 4<<20); err != nil {
		t.Errorf("after a discard has made room: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if n := disktest.Check(t, "qcow2", dev); n > 0 {
		t.Errorf("%d clusters leak", n)
	}
	if !bytes.Equal(disktest.Contents(t, disktest.Dir(t), "qcow2", dev), want) {
		t.Error("QEMU reads something else")
	}
}

// TestBlockDeviceHolder opens a block device for somebody twice, which is refused while the
// first is open, and for somebody else, which is not.
func TestBlockDeviceHolder(t *testing.T) {
	dev, _ := loopDevice(t, noise(1, 1<<20))
	o := Options{Format: Raw, Direct: true, Holder: 7<<32 | 51712}
	d, _ := mustOpen(t, dev, o)
	b, err := NewBatch(d, 4)
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		t.Fatal(err)
	}
	if _, _, err := Open(context.Background(), dev, o); !errors.Is(err, ErrLocked) {
		t.Errorf("a second one for the same holder: %v", err)
	}
	for _, other := range []Options{{Format: Raw, Direct: true, Holder: 8<<32 | 51712}, {Format: Raw, Direct: true}} {
		o, _ := mustOpen(t, dev, other)
		o.Close()
	}
	none, _ := mustOpen(t, dev, Options{Format: Raw, Direct: true})
	if b, err := NewBatch(none, 4); !errors.Is(err, errors.ErrUnsupported) {
		b.Close()
		t.Errorf("without a holder its requests go in a batch: %v", err)
	}
	if b == nil {
		t.Skip("no io_uring here")
	}
	p := pages(4096)
	copy(p, noise(2, 4096))
	if !b.Write(p, 8192, 0) || len(finish(t, b, 1)) != 1 {
		t.Error("the batch does not write")
	}
	got := pages(4096)
	if _, err := d.ReadAt(got, 8192); err != nil || !bytes.Equal(got, p) {
		t.Errorf("the device holds something else (%v)", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	d.Close()
	again, _ := mustOpen(t, dev, o)
	again.Close()
}
