package disks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"goxl/migrate/stream"
)

// Publish gives all disks their names, once each is whole and on the medium: before
// anybody opens them for the guest. When no disk came it does nothing; else each of the
// Targets has to have come.
func (r *Receiver) Publish() error {
	if !r.Any() {
		return nil
	}
	came := map[string]bool{}
	for _, d := range r.in {
		if !d.ended {
			return fmt.Errorf("disk %s (%s): %w: its end did not come", d.name, d.Path, stream.ErrStream)
		}
		came[d.name] = true
	}
	for name, t := range r.Targets {
		if !came[name] {
			return fmt.Errorf("disk %s (%s): %w: it did not come", name, t.Path, stream.ErrStream)
		}
	}
	for _, d := range r.in {
		if err := d.publish(); err != nil {
			return fmt.Errorf("disk %s (%s): %w", d.name, d.Path, err)
		}
	}
	return nil
}

func (d *incoming) publish() error {
	if err := errors.Join(d.disk.Flush(), d.close()); err != nil {
		return err
	}
	if err := d.vacant(); err != nil { // somebody may have come meanwhile
		return err
	}
	err := os.Link(d.Path, d.Path+replacedSuffix)
	switch {
	case err == nil:
		d.replaced = true
		err = os.Rename(d.part(), d.Path)
	case errors.Is(err, os.ErrNotExist):
		err = renameNew(d.part(), d.Path)
	}
	if err != nil {
		return err
	}
	d.published = true
	return syncDir(d.Path)
}

// renameNew gives a file a name that nothing has.
func renameNew(from, to string) error {
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // a file system that cannot
		if err = os.Link(from, to); err == nil {
			err = os.Remove(from)
		}
		return err
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// syncDir brings the names in a file's folder to the medium.
func syncDir(path string) error {
	f, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d *incoming) close() error {
	if d.disk == nil {
		return nil
	}
	err := d.disk.Close()
	d.disk = nil
	return err
}

// Keep makes the disks stay: the guest runs, or may. What they have replaced goes.
func (r *Receiver) Keep() error {
	var errs []error
	for _, d := range r.in {
		if d.replaced {
			errs = append(errs, os.Remove(d.Path+replacedSuffix))
		}
	}
	r.in = nil
	return errors.Join(errs...)
}

// Discard removes all that was made here, and brings back what was replaced. Nobody may
// use the disks any more. After Keep it does nothing.
func (r *Receiver) Discard() error {
	var errs []error
	for _, d := range r.in {
		if err := d.discard(); err != nil {
			errs = append(errs, fmt.Errorf("remove the copy of disk %s: %w", d.name, err))
		}
	}
	r.in = nil
	return errors.Join(errs...)
}

func (d *incoming) discard() error {
	_ = d.close() // what it has to say is of a file that goes
	var errs []error
	switch {
	case d.published && d.replaced:
		errs = append(errs, os.Rename(d.Path+replacedSuffix, d.Path))
	case d.published:
		errs = append(errs, removeOurs(d.Path, d.made))
	default:
		if d.replaced {
			errs = append(errs, os.Remove(d.Path+replacedSuffix))
		}
		errs = append(errs, removeOurs(d.part(), d.made))
	}
	return errors.Join(append(errs, syncDir(d.Path))...)
}

// removeOurs removes a file if it is the one that we made.
func removeOurs(path string, made os.FileInfo) error {
	fi, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !os.SameFile(fi, made) {
		return fmt.Errorf("%s is another file now", path)
	}
	return os.Remove(path)
}
