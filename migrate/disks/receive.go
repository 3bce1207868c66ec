package disks

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"goxl/blkback/disk"
	"goxl/blkback/mirror"
	"goxl/migrate/stream"
)

// Suffixes of files that stand beside a disk while it comes.
const (
	incomingSuffix = ".goxl-incoming" // what is not complete
	replacedSuffix = ".goxl-replaced" // what was there before, until the guest runs
)

// Target is where a disk belongs, as the guest's configuration says.
type Target struct {
	Path   string
	Format string
}

// Receiver writes the disks of one guest. It is for one goroutine.
type Receiver struct {
	// Targets are the disks that the guest has, by its names for them.
	Targets map[string]Target

	in []*incoming
}

// incoming is one disk.
type incoming struct {
	Place
	name   string
	format disk.Format
	disk   disk.Disk // nil: it is closed
	sums   *sums
	fresh  mirror.Set // blocks that were written and not read back yet
	unread int64      // bytes of them, about
	buf    []byte
	ended  bool

	made      os.FileInfo // our file; nil: there is none
	published bool        // it has its name
	replaced  bool        // another had it before
}

// ErrDiffers is a disk that did not come as it was sent.
var ErrDiffers = errors.New("the copy is not what was sent")

// Take uses a record. It reports false for one that is not about a disk.
func (r *Receiver) Take(ctx context.Context, b stream.Body) (ours bool, err error) {
	switch b := b.(type) {
	case *stream.DiskBegin:
		return true, r.begin(ctx, b)
	case *stream.DiskData:
		return true, r.with(b.Disk, func(d *incoming) error { return d.data(ctx, b) })
	case *stream.DiskZero:
		return true, r.with(b.Disk, func(d *incoming) error { return d.zero(ctx, b) })
	case *stream.DiskRound:
		return true, r.with(b.Disk, func(d *incoming) error { return d.verify(ctx) })
	case *stream.DiskEnd:
		return true, r.with(b.Disk, func(d *incoming) error { return d.end(ctx, b) })
	}
	return false, nil
}

// Any reports whether there is a disk.
func (r *Receiver) Any() bool { return len(r.in) > 0 }

// with calls f for a disk that is coming.
func (r *Receiver) with(n uint32, f func(d *incoming) error) error {
	if uint64(n) >= uint64(len(r.in)) {
		return fmt.Errorf("disk %d: %w: it was not announced", n, stream.ErrStream)
	}
	d := r.in[n]
	err := error(fmt.Errorf("%w: it has ended", stream.ErrStream))
	if !d.ended {
		err = f(d)
	}
	if err != nil {
		return fmt.Errorf("disk %s (%s): %w", d.name, d.Path, err)
	}
	return nil
}

// begin makes the file of a disk.
func (r *Receiver) begin(ctx context.Context, b *stream.DiskBegin) error {
	t, ok := r.Targets[b.Name]
	switch {
	case int(b.Disk) != len(r.in):
		return fmt.Errorf("disk %d: %w: it comes after %d others", b.Disk, stream.ErrStream, len(r.in))
	case !ok:
		return fmt.Errorf("disk %q: the guest's configuration has none of that name", b.Name)
	case t.Format != b.Format || !copied(b.Format):
		return fmt.Errorf("disk %s (%s): its format is %s there, and %s by the guest's configuration", b.Name, t.Path, b.Format, t.Format)
	}
	d := &incoming{name: b.Name, format: disk.Format(b.Format),
		Place: Place{Path: t.Path, Size: int64(b.Size), Used: int64(min(b.Used, b.Size)), Overwrite: b.Overwrite}}
	for _, o := range r.in {
		if o.Path == d.Path || o.name == d.name {
			return fmt.Errorf("disks %s and %s are in one file, %s", o.name, d.name, d.Path)
		}
	}
	promised := d.Used
	for _, o := range r.in {
		if filepath.Dir(o.Path) == filepath.Dir(d.Path) {
			promised += o.Used
		}
	}
	place := d.Place
	place.Used = promised
	err := place.Admit()
	if err == nil {
		err = d.open(ctx)
	}
	if err != nil {
		return fmt.Errorf("disk %s: %w", d.name, err)
	}
	r.in = append(r.in, d)
	return nil
}

func (d *incoming) part() string { return d.Path + incomingSuffix }

// open makes the file in which the disk is put together.
func (d *incoming) open(ctx context.Context) (err error) {
	for _, path := range []string{d.part(), d.Path} {
		if err := unused(ctx, path); err != nil {
			return err
		}
	}
	if d.sums, err = newSums(d.Size); err != nil {
		return err
	}
	if err := os.Remove(d.part()); err != nil && !errors.Is(err, os.ErrNotExist) { // of a migration that was killed
		return err
	}
	if err := disk.Create(d.part(), d.format, d.Size); err != nil {
		return err
	}
	if d.made, err = os.Lstat(d.part()); err == nil {
		d.disk, _, err = disk.Open(ctx, d.part(), disk.Options{Format: d.format, Direct: true})
	}
	if err != nil {
		return errors.Join(err, os.Remove(d.part()))
	}
	d.fresh = make(mirror.Set, (len(d.sums.of)+63)/64)
	return nil
}

// unused fails when somebody has a file open as a disk.
func unused(ctx context.Context, path string) error {
	if fi, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	} else if !fi.Mode().IsRegular() {
		return fmt.Errorf("%s is there, and is no file that could be replaced (%v)", path, fi.Mode())
	}
	d, _, err := disk.Open(ctx, path, disk.Options{Format: disk.Raw})
	if err != nil {
		return err
	}
	return d.Close()
}

// blocks is which blocks a part of the disk is; it has to be whole ones.
func (d *incoming) blocks(off, n uint64) (first, count int, err error) {
	size, block := uint64(d.sums.size), uint64(d.sums.block)
	if off > size || n > size-off || off%block != 0 || n%block != 0 && off+n != size {
		return 0, 0, fmt.Errorf("%w: %d bytes at %d are no blocks of %d of a disk of %d", stream.ErrStream, n, off, block, size)
	}
	return int(off / block), int((n + block - 1) / block), nil
}

// data writes what a part holds.
func (d *incoming) data(ctx context.Context, b *stream.DiskData) error {
	first, count, err := d.blocks(b.Offset, uint64(len(b.Data)))
	if err != nil {
		return err
	}
	d.buf = append(d.buf[:0], b.Data...) // on a page's border, as direct I/O has it
	if _, err := d.disk.WriteAt(d.buf, int64(b.Offset)); err != nil {
		return err
	}
	at := 0
	for i := first; i < first+count; i++ {
		n := d.sums.length(i)
		d.sums.of[i] = sumOf(d.buf[at : at+n])
		d.fresh.Add(i)
		at += n
	}
	return d.wrote(ctx, int64(len(b.Data)))
}

// unread is how much may wait to be read back. More would have the sender wait for long at
// a time, who takes that for an end.
const unread = 64 << 20

// wrote reads back what was written when that is enough.
func (d *incoming) wrote(ctx context.Context, n int64) error {
	if d.unread += n; d.unread < unread {
		return nil
	}
	return d.verify(ctx)
}

// zero makes a part zeroes, by a hole where that can be.
func (d *incoming) zero(ctx context.Context, b *stream.DiskZero) error {
	first, count, err := d.blocks(b.Offset, b.Length)
	if err != nil {
		return err
	}
	err = d.disk.Discard(int64(b.Offset), int64(b.Length))
	for i := first; i < first+count; i++ {
		p, off := d.room(d.sums.length(i)), int64(i)*d.sums.block
		if err == nil { // what a discard leaves is not promised
			if _, err := d.disk.ReadAt(p, off); err != nil {
				return err
			}
		}
		if err != nil || !isZero(p) {
			clear(p)
			if _, err := d.disk.WriteAt(p, off); err != nil {
				return err
			}
		}
		d.sums.of[i] = sum{}
		d.fresh.Add(i)
	}
	return d.wrote(ctx, int64(b.Length))
}

// room is n bytes to read into.
func (d *incoming) room(n int) []byte {
	if cap(d.buf) < n {
		d.buf = make([]byte, n)
	}
	return d.buf[:n]
}

// verify reads back what was written since the last time, once it is on the medium.
func (d *incoming) verify(ctx context.Context) error {
	d.unread = 0
	if err := d.disk.Flush(); err != nil {
		return err
	}
	for i, n := d.fresh.Next(0, 1); n > 0; i, n = d.fresh.Next(i+1, 1) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		p := d.room(d.sums.length(i))
		if _, err := d.disk.ReadAt(p, int64(i)*d.sums.block); err != nil {
			return err
		}
		if sumOf(p) != d.sums.of[i] {
			return fmt.Errorf("%w: the host reads something else than was written at %d", ErrDiffers, int64(i)*d.sums.block)
		}
		d.fresh.Remove(i)
	}
	return nil
}

// end makes sure that the disk is whole.
func (d *incoming) end(ctx context.Context, b *stream.DiskEnd) error {
	if err := d.verify(ctx); err != nil {
		return err
	}
	if got := d.sums.disk(); got != b.Sum {
		return fmt.Errorf("%w: its checksum is %x, and %x here", ErrDiffers, b.Sum, got)
	}
	d.ended = true
	return nil
}
