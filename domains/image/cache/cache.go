package cache

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"goxl/domains/image"
)

// Options say where a cache is and how big.
type Options struct {
	Dir    string       // made when missing; "" switches the cache off
	Max    int64        // bytes; 0: 1 GiB
	Limits image.Limits // of the kernels

	// Report is told why the cache could not be used or filled. Kernels load
	// all the same. It is called from any goroutine; nil: nobody is told.
	Report func(error)
}

// DefaultMax is a cache's size unless Options say otherwise.
const DefaultMax = 1 << 30

// Cache is a directory of unpacked kernels. Its methods may be called from
// several goroutines at once.
type Cache struct {
	o     Options
	fresh time.Duration // a file that changed this recently may change unseen
	fill  sync.WaitGroup
}

// New returns a cache. It does no I/O yet.
func New(o Options) *Cache {
	if o.Max == 0 {
		o.Max = DefaultMax
	}
	if o.Report == nil {
		o.Report = func(error) {}
	}
	return &Cache{o: o, fresh: 2 * time.Second}
}

// Close waits until what was unpacked is saved.
func (c *Cache) Close() error {
	c.fill.Wait()
	return nil
}

// Kernel is an image together with the file that it lies in, if it does.
type Kernel struct {
	*image.Image
	Cached bool // it was not unpacked just now
	f      *os.File
}

// Close releases the file; the image is dead then. It may be called twice.
func (k *Kernel) Close() error {
	if k.f == nil {
		return nil
	}
	f := k.f
	k.f = nil
	return f.Close()
}

// Open loads the kernel in file name, from the cache if it is there.
func (c *Cache) Open(name string) (*Kernel, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open kernel: %w", err)
	}
	defer f.Close()
	k, err := c.Load(f)
	if err != nil {
		return nil, fmt.Errorf("kernel %s: %w", name, err)
	}
	return k, nil
}

// Load loads the kernel in f, which stays the caller's and may be closed
// afterwards.
func (c *Cache) Load(f *os.File) (*Kernel, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("not a regular file but %v", st.Mode().Type())
	}
	var magic [4]byte
	if _, err := f.ReadAt(magic[:], 0); err != nil && err != io.EOF {
		return nil, err
	}
	if c.o.Dir == "" || !image.Packed(magic[:]) {
		return uncached(image.Load(f, st.Size(), c.o.Limits))
	}
	if err := c.trust(); err != nil {
		c.o.Report(err)
		return uncached(image.Load(f, st.Size(), c.o.Limits))
	}
	link := linkName(st)
	if target, err := os.Readlink(c.path(link)); err == nil {
		if k, err := c.entry(filepath.Base(target)); err == nil {
			return k, nil
		}
	}
	return c.loadNew(f, st, link)
}

func uncached(im *image.Image, err error) (*Kernel, error) {
	if err != nil {
		return nil, err
	}
	return &Kernel{Image: im}, nil
}

// loadNew loads a kernel that is not known by its file's identity: perhaps by
// its contents, otherwise it is unpacked, and saved in the background.
func (c *Cache) loadNew(f *os.File, st fs.FileInfo, link string) (*Kernel, error) {
	if limit := c.o.Limits.File; limit > 0 && st.Size() > limit || st.Size() > image.DefaultFileLimit {
		return uncached(image.Load(f, st.Size(), c.o.Limits)) // which says so
	}
	src := make([]byte, st.Size())
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, st.Size()), src); err != nil {
		return nil, fmt.Errorf("read kernel: %w", err)
	}
	sum := sha256.Sum256(src)
	name := hex.EncodeToString(sum[:]) + suffix
	if !c.settled(f, st) {
		link = "" // what changes just now may change again without its times showing it
	}
	if k, err := c.entry(name); err == nil {
		c.link(link, name)
		return k, nil
	}
	elf, err := image.Unpack(src, c.o.Limits)
	if err != nil {
		return nil, err
	}
	k, err := uncached(image.Parse(elf))
	if err != nil {
		return nil, err
	}
	c.fill.Go(func() {
		if err := c.save(name, elf); err != nil {
			c.o.Report(fmt.Errorf("save an unpacked kernel: %w", err))
			return
		}
		c.link(link, name)
		c.shrink()
	})
	return k, nil
}

// settled reports whether f is still as st says and was not touched lately, so
// that the times of its next change will differ.
func (c *Cache) settled(f *os.File, st fs.FileInfo) bool {
	now, err := f.Stat()
	return err == nil && linkName(now) == linkName(st) && time.Since(changed(st)) > c.fresh
}

// entry opens a kernel of the cache and marks it as used.
func (c *Cache) entry(name string) (*Kernel, error) {
	f, err := os.Open(c.path(name))
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	im, err := image.ParseFile(f, st.Size())
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	now := time.Now()
	_ = os.Chtimes(c.path(name), now, now) // it merely goes earlier if this fails
	return &Kernel{Image: im, Cached: true, f: f}, nil
}
