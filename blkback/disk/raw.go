package disk

import (
	"errors"
	"fmt"
	"io"
)

// raw is a file or block device, byte for byte.
type raw struct{ f *file }

// openRaw opens path as it is. A file whose length is not a multiple of 512 loses
// its last bytes, as with the kernel's loop device.
func openRaw(path string, o Options) (Disk, Info, error) {
	f, err := openFile(path, o)
	if err != nil {
		return nil, Info{}, err
	}
	if f.direct && f.Size()%int64(f.offAlign) != 0 {
		f.endDirect() // the last block cannot be written without growing the file
	}
	return &raw{f}, f.info(Raw), nil
}

// info is what a frontend should know of a disk that lies in f as it is.
func (f *file) info(format Format) Info {
	return Info{
		Format: format, SectorSize: f.sector, PhysicalSectorSize: f.physical,
		DiscardGranularity: f.granularity, DiscardAlignment: f.alignment,
		ReadOnly: f.readOnly, Direct: f.direct,
	}
}

func (d *raw) Size() int64 { return d.f.Size() &^ 511 }

func (d *raw) Refresh() (int64, error) {
	if _, err := d.f.Refresh(); err != nil {
		return 0, err
	}
	return d.Size(), nil
}

func (d *raw) ReadAt(p []byte, off int64) (int, error) {
	if err := checkRange("read", off, int64(len(p)), d.Size()); err != nil {
		return 0, err
	}
	n, err := d.f.ReadAt(p, off)
	if errors.Is(err, io.EOF) { // the file was cut short under us
		err = fmt.Errorf("read %d bytes at %d: %w", len(p), off, io.ErrUnexpectedEOF)
	}
	return n, err
}

func (d *raw) WriteAt(p []byte, off int64) (int, error) {
	if d.f.readOnly {
		return 0, ErrReadOnly
	}
	if err := checkRange("write", off, int64(len(p)), d.Size()); err != nil {
		return 0, err
	}
	return d.f.WriteAt(p, off)
}

func (d *raw) Flush() error { return d.f.Flush() }

func (d *raw) Discard(off, n int64) error {
	if d.f.readOnly {
		return ErrReadOnly
	}
	if err := checkRange("discard", off, n, d.Size()); err != nil {
		return err
	}
	if d.f.block { // the kernel refuses parts of sectors
		mask := int64(d.f.sector - 1)
		end := (off + n) &^ mask
		off = (off + mask) &^ mask
		n = max(end-off, 0)
	}
	return d.f.Discard(off, n)
}

func (d *raw) Close() error { return d.f.Close() }
