package cache

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"goxl/domains/sparse"
)

const (
	suffix     = ".elf"
	linkPrefix = "file-"
	tmpPrefix  = "tmp-"
)

func (c *Cache) path(name string) string { return filepath.Join(c.o.Dir, name) }

// trust makes the directory and checks that only we can write to it.
func (c *Cache) trust() error {
	if err := os.MkdirAll(c.o.Dir, 0o700); err != nil {
		return fmt.Errorf("kernel cache: %w", err)
	}
	st, err := os.Lstat(c.o.Dir)
	if err != nil {
		return fmt.Errorf("kernel cache: %w", err)
	}
	if !st.IsDir() || st.Mode().Perm()&0o022 != 0 || owner(st) != os.Geteuid() {
		return fmt.Errorf("kernel cache %s is not used: it must be a directory that belongs to user %d and that others cannot write to",
			c.o.Dir, os.Geteuid())
	}
	return nil
}

// save writes an entry under another name, makes sure that it is on the disk,
// and renames it. Half of Debian's kernel is zeroes that are not written.
func (c *Cache) save(name string, elf []byte) error {
	f, err := os.CreateTemp(c.o.Dir, tmpPrefix)
	if err != nil {
		return err
	}
	w := sparse.New(f)
	_, err = w.Write(elf)
	err = errors.Join(err, w.Close(), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), c.path(name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// link notes that the file with this identity has that entry.
func (c *Cache) link(link, name string) {
	if link == "" {
		return
	}
	tmp := c.path(tmpPrefix + rand.Text())
	if err := os.Symlink(name, tmp); err != nil {
		c.o.Report(fmt.Errorf("kernel cache: %w", err))
		return
	}
	if err := os.Rename(tmp, c.path(link)); err != nil {
		c.o.Report(fmt.Errorf("kernel cache: %w", errors.Join(err, os.Remove(tmp))))
	}
}

// shrink removes the entries that were not used for longest, until the rest
// fits, then links to nowhere and what broken-off runs left.
func (c *Cache) shrink() {
	files, err := os.ReadDir(c.o.Dir)
	if err != nil {
		c.o.Report(fmt.Errorf("kernel cache: %w", err))
		return
	}
	var entries []fs.FileInfo
	var total int64
	for _, f := range files {
		st, err := f.Info()
		if err != nil || !st.Mode().IsRegular() {
			continue
		}
		switch {
		case strings.HasPrefix(f.Name(), tmpPrefix) && time.Since(st.ModTime()) > time.Hour:
			_ = os.Remove(c.path(f.Name()))
		case strings.HasSuffix(f.Name(), suffix):
			entries = append(entries, st)
			total += st.Size()
		}
	}
	slices.SortFunc(entries, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, e := range entries {
		if total <= c.o.Max {
			break
		}
		if os.Remove(c.path(e.Name())) == nil {
			total -= e.Size()
		}
	}
	for _, f := range files {
		if !strings.HasPrefix(f.Name(), linkPrefix) {
			continue
		}
		if _, err := os.Stat(c.path(f.Name())); errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(c.path(f.Name()))
		}
	}
}
