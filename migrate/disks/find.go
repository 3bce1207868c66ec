package disks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"goxl/blkback/mirror"
	"goxl/domains/config"
	"goxl/domains/device"
	"goxl/xenctrl/abi"
)

// Disk is one that goes along.
type Disk struct {
	mirror.Disk
	Name string // the guest's for it: "xvda"
	Used int64  // bytes that it takes here, about
	// Flattened says that it has a backing file, whose contents go into the copy.
	Flattened bool
}

// Refusal is a disk that cannot go along.
type Refusal struct{ Name, Path, Why string }

func (r *Refusal) Error() string {
	return fmt.Sprintf("%s (%s) cannot go along: %s", r.Name, r.Path, r.Why)
}

// Find lists the disks of guest id that go along, which are all, and those that cannot:
// only what the blkback with that state folder serves can, raw and qcow2. Drives without
// a medium are passed over.
func Find(ctx context.Context, dir string, id abi.DomID, spec *config.Spec) (list []Disk, refused []*Refusal) {
	served, err := mirror.Disks(ctx, dir)
	for i := range spec.Disks {
		d := &spec.Disks[i]
		name, path := d.VDev.Value(), d.Path.Value()
		no := func(format string, args ...any) {
			refused = append(refused, &Refusal{name, path, fmt.Sprintf(format, args...)})
		}
		dev, bad := device.ParseVDev(name)
		switch {
		case path == "":
		case bad != nil:
			no("%v", bad)
		case d.Backend.DomID != 0 || d.Backend.Name.IsSet():
			no("another domain serves it")
		case errors.Is(err, mirror.ErrAbsent):
			no("goxl's blkback does not serve it: none runs here")
		case err != nil:
			no("%v", err)
		default:
			found, why := find(served, mirror.ID{Dom: uint16(id), Dev: dev})
			if why != nil {
				no("%v", why)
				continue
			}
			found.Name = name
			list = append(list, *found)
		}
	}
	return list, refused
}

// find looks for one among those that are served.
func find(served []mirror.Disk, id mirror.ID) (*Disk, error) {
	for _, s := range served {
		if s.ID != id {
			continue
		}
		if !copied(s.Format) {
			return nil, fmt.Errorf("its format is %s, and only raw and qcow2 can", s.Format)
		}
		if _, err := mirror.BlockSize(s.Size); err != nil {
			return nil, err
		}
		d := &Disk{Disk: s}
		return d, d.measure()
	}
	return nil, errors.New("goxl's blkback does not serve it: have it with backendtype=qdisk while blkback runs")
}

// copied reports whether disks of a format go along.
func copied(format string) bool { return format == "raw" || format == "qcow2" }

// measure finds out how much the disk takes. With a backing file that is not known.
func (d *Disk) measure() error {
	var st unix.Stat_t
	if err := unix.Stat(d.Path, &st); err != nil {
		return &os.PathError{Op: "look at it", Path: d.Path, Err: err}
	}
	d.Used = min(d.Size, st.Blocks*512)
	if st.Mode&unix.S_IFMT == unix.S_IFBLK {
		d.Used = d.Size
	}
	if d.Format != "qcow2" {
		return nil
	}
	f, err := os.Open(d.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	var head [16]byte // a name of a backing file has its place at byte 8
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return err
	}
	if d.Flattened = [8]byte(head[8:]) != [8]byte{}; d.Flattened {
		d.Used = d.Size
	}
	return nil
}

// Place is where a disk is to be.
type Place struct {
	Path      string
	Size      int64
	Used      int64 // that it will take, about
	Overwrite bool  // a file that is there may be replaced
}

// Admit says why a disk cannot be put there.
func (p Place) Admit() error {
	switch {
	case !filepath.IsAbs(p.Path) || filepath.Clean(p.Path) != p.Path:
		return fmt.Errorf("%q is no whole path", p.Path)
	case within(p.Path, "/dev") && !within(p.Path, "/dev/shm") || within(p.Path, "/proc") || within(p.Path, "/sys"):
		return fmt.Errorf("%s is no place for a file: give it another path there with -C", p.Path)
	}
	fi, err := os.Stat(filepath.Dir(p.Path))
	if err == nil && !fi.IsDir() {
		err = errors.New("no folder")
	}
	if err != nil {
		return fmt.Errorf("the folder for %s: %w", p.Path, err)
	}
	if err := p.vacant(); err != nil {
		return err
	}
	free, err := room(filepath.Dir(p.Path))
	if err == nil && free < p.Used {
		err = fmt.Errorf("%s has no room for it: it takes %d bytes, and %d are free: %w", filepath.Dir(p.Path), p.Used, free, unix.ENOSPC)
	}
	return err
}

// vacant fails when something is there that may not be replaced.
func (p Place) vacant() error {
	fi, err := os.Lstat(p.Path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !p.Overwrite:
		return fmt.Errorf("%s is there already: --overwrite-disks replaces it: %w", p.Path, os.ErrExist)
	case !fi.Mode().IsRegular():
		return fmt.Errorf("%s is there, and is no file that could be replaced (%v)", p.Path, fi.Mode())
	}
	if _, err := os.Lstat(p.Path + replacedSuffix); err == nil {
		return fmt.Errorf("%s is there: a migration that was killed has left it, and it is what %s was before; decide which of both to keep",
			p.Path+replacedSuffix, p.Path)
	}
	return nil
}

func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// room is how many bytes are free for files in a folder.
func room(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, &os.PathError{Op: "look for room in", Path: dir, Err: err}
	}
	unit := st.Frsize
	if unit <= 0 {
		unit = st.Bsize
	}
	return int64(st.Bavail) * unit, nil
}
