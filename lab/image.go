package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Image is a built, read-only disk image with the files that boot it.
type Image struct {
	Release Release
	Dir     string
}

// Paths of an image's parts.
func (m *Image) Root() string      { return filepath.Join(m.Dir, "root.img") }   // dom0's disk, ext4
func (m *Image) Xen() string       { return filepath.Join(m.Dir, "xen") }        // the hypervisor, multiboot ELF
func (m *Image) Kernel() string    { return filepath.Join(m.Dir, "vmlinuz") }    // dom0's and the guests' kernel
func (m *Image) Initramfs() string { return filepath.Join(m.Dir, "initrd.img") } // dom0's
func (m *Image) ClientKey() string { return filepath.Join(m.Dir, "id_ed25519") } // root may log in with it
func (m *Image) HostKey() string   { return filepath.Join(m.Dir, "host_ed25519.pub") }

// Cache holds images by the hash of the recipe that made them. Several
// processes may use it at once.
type Cache struct{ dir string }

// OpenCache uses dir, or the user's cache directory when dir is empty.
func OpenCache(dir string) (*Cache, error) {
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			base = "/var/cache" // no HOME, as in some continuous integration
		}
		dir = filepath.Join(base, "goxl")
	}
	if err := os.MkdirAll(filepath.Join(dir, "images"), 0o755); err != nil {
		return nil, fmt.Errorf("open image cache: %w", err)
	}
	return &Cache{dir: dir}, nil
}

// Dir is where the cache lives.
func (c *Cache) Dir() string { return c.dir }

// Cached reports whether r's image is built already.
func (c *Cache) Cached(r Release) bool {
	_, err := os.Stat(c.path(r))
	return err == nil
}

// Image returns r's image and builds it first when the cache has none; that
// needs root, the network and a few minutes. A second builder of the same
// image waits for the first.
func (c *Cache) Image(ctx context.Context, r Release, p Progress) (*Image, error) {
	m := &Image{Release: r, Dir: c.path(r)}
	if c.Cached(r) {
		return m, nil
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("build the Xen %s image: %w: debootstrap needs root", r.Xen, fs.ErrPermission)
	}
	unlock, err := lock(ctx, m.Dir+".lock")
	if err != nil {
		return nil, fmt.Errorf("build the Xen %s image: %w", r.Xen, err)
	}
	defer unlock()
	if c.Cached(r) { // somebody else built it meanwhile
		return m, nil
	}
	partial := m.Dir + ".partial"
	for tries := 1; ; tries++ {
		if err := os.RemoveAll(partial); err != nil { // of a builder that died, too
			return nil, err
		}
		err := build(ctx, r, partial, p)
		switch {
		case err == nil:
			return m, os.Rename(partial, m.Dir)
		case tries == buildTries || ctx.Err() != nil:
			err = fmt.Errorf("build the Xen %s image: %w", r.Xen, err)
			return nil, errors.Join(err, os.RemoveAll(partial))
		}
	}
}

// buildTries: most of a build is downloads, and a mirror may hiccup.
const buildTries = 2

// TempDir makes a folder for files that live as long as a run. Those that a
// killed run left behind go away a day later.
func (c *Cache) TempDir() (string, error) {
	base := filepath.Join(c.dir, "tmp")
	if err := os.MkdirAll(base, 0o755); err != nil {
		return "", fmt.Errorf("make a temporary folder: %w", err)
	}
	old, err := os.ReadDir(base)
	if err != nil {
		return "", fmt.Errorf("look for old temporary folders: %w", err)
	}
	for _, entry := range old {
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > 24*time.Hour {
			os.RemoveAll(filepath.Join(base, entry.Name())) // another run may do the same
		}
	}
	return os.MkdirTemp(base, "run-")
}

func (c *Cache) path(r Release) string {
	return filepath.Join(c.dir, "images", "xen-"+r.Xen+"-"+recipeOf(r).hash())
}

// lock takes an exclusive lock on file, waiting for whoever holds it.
func lock(ctx context.Context, file string) (unlock func(), err error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", file, err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("lock %s, held by another builder: %w", file, ctx.Err())
		case <-time.After(time.Second):
		}
	}
}
