package disk

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"goxl/blkback/disk/disktest"
)

func TestVHDX(t *testing.T) {
	disktest.Need(t)
	for name, options := range map[string]string{
		"dynamic": "subformat=dynamic,block_size=1M", "fixed": "subformat=fixed,block_size=2M", "zero blocks off": "block_state_zero=off",
	} {
		t.Run(name, func(t *testing.T) {
			dir := disktest.Dir(t)
			path := filepath.Join(dir, "disk.vhdx")
			disktest.Img(t, "create", "-q", "-f", "vhdx", "-o", options, path, "9M")
			disktest.IO(t, "vhdx", path, "write -P 1 100k 300k", "write -P 2 3M 2560k", "write -P 3 8191k 1M")
			d, info := mustOpen(t, path, Options{Format: VHDX, ReadOnly: true})
			if info.Format != VHDX || !info.ReadOnly || info.SectorSize != 512 || d.Size() != 9<<20 {
				t.Errorf("info %+v, size %d", info, d.Size())
			}
			if !bytes.Equal(readAll(t, d), disktest.Contents(t, dir, "vhdx", path)) {
				t.Error("QEMU reads something else")
			}
			d.Close()
			d, info = mustOpen(t, path, Options{Format: VHD, ReadOnly: true}) // as xl.cfg calls it
			if d.Close(); info.Format != VHDX {
				t.Errorf("opened as vhd: %s", info.Format)
			}
			if _, _, err := Open(context.Background(), path, Options{Format: VHDX}); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("Open for writing = %v", err)
			}
		})
	}
}

// A writer that died after its log was on the medium and before its tables were: the
// last change of the block table is in the log alone.
func TestVHDXLog(t *testing.T) {
	disktest.Need(t)
	dir := disktest.Dir(t)
	path := filepath.Join(dir, "disk.vhdx")
	disktest.Img(t, "create", "-q", "-f", "vhdx", "-o", "block_size=1M", path, "4M")
	disktest.IO(t, "vhdx", path, "write -P 1 1M 1M")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := disktest.Contents(t, dir, "vhdx", path)
	le := binary.LittleEndian
	var table, header int
	for e := b[192<<10+16:][:64]; len(e) > 0; e = e[32:] {
		if e[0] == 0x66 { // the block table's region
			table = int(le.Uint64(e[16:]))
		}
	}
	header = 64 << 10
	if le.Uint64(b[128<<10+8:]) > le.Uint64(b[header+8:]) {
		header = 128 << 10
	}
	// QEMU has told the header that the log is done: take that back.
	log := int(le.Uint64(b[header+72:]))
	entry := log + logAt(t, b[log:][:1<<20])
	copy(b[header+48:], b[entry+32:][:16])
	h := b[header:][:4096]
	clear(h[4:8])
	le.PutUint32(h[4:], crc32.Checksum(h, crc32.MakeTable(crc32.Castagnoli)))
	if table == 0 {
		t.Fatal("the image has no block table")
	}
	clear(b[table : table+4096])
	open := func() (Disk, error) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d, _, err := Open(context.Background(), path, Options{Format: VHDX, ReadOnly: true})
		return d, err
	}
	d, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(readAll(t, d), want) {
		t.Error("the log was not replayed")
	}
	d.Close()
	b[entry+100]++ // now no checksum holds
	if d, err = open(); err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if !bytes.Equal(readAll(t, d), make([]byte, len(want))) {
		t.Error("an entry was replayed whose checksum does not hold")
	}
}

// logAt finds the last entry of a log.
func logAt(t *testing.T, log []byte) int {
	t.Helper()
	at := bytes.LastIndex(log, []byte("loge"))
	if at < 0 {
		t.Fatal("the log has no entry")
	}
	return at
}

// TestVHDStaysVHD: a guest that writes another format's cookie to the beginning of its
// disk has a VHD all the same.
func TestVHDStaysVHD(t *testing.T) {
	disktest.Need(t)
	path := filepath.Join(disktest.Dir(t), "disk.vhd")
	disktest.Img(t, "create", "-q", "-f", "vpc", "-o", "subformat=fixed,force_size=on", path, "1M")
	for range 2 {
		d, info := mustOpen(t, path, Options{Format: VHD})
		if info.Format != VHD {
			t.Errorf("opened as %s", info.Format)
		}
		if _, err := d.WriteAt(append([]byte(vhdxCookie), make([]byte, 504)...), 0); err != nil {
			t.Error(err)
		}
		d.Close()
	}
}
