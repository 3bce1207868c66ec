package lab

import (
	"fmt"
	"io"
	"io/fs"
)

// archive writes a cpio archive in the "newc" format, which Linux unpacks as
// its initramfs (layout: Documentation/driver-api/early-userspace of Linux).
type archive struct {
	w   io.Writer
	ino int
	err error
}

const (
	cpioDir     = 0o040000
	cpioFile    = 0o100000
	cpioChar    = 0o020000
	cpioTrailer = "TRAILER!!!"
)

func (a *archive) dir(name string) { a.entry(name, cpioDir|0o755, 0, 0, nil) }

func (a *archive) file(name string, perm fs.FileMode, data []byte) {
	a.entry(name, cpioFile|uint32(perm.Perm()), 0, 0, data)
}

func (a *archive) char(name string, major, minor uint32) {
	a.entry(name, cpioChar|0o600, major, minor, nil)
}

// Close writes the trailer and returns the first error of any entry.
func (a *archive) Close() error {
	a.entry(cpioTrailer, 0, 0, 0, nil)
	return a.err
}

func (a *archive) entry(name string, mode, major, minor uint32, data []byte) {
	if a.err != nil {
		return
	}
	a.ino++
	head := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		a.ino, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(name)+1, 0, name)
	for _, part := range [][]byte{pad4([]byte(head)), pad4(data)} {
		if _, err := a.w.Write(part); err != nil {
			a.err = fmt.Errorf("write initramfs entry %s: %w", name, err)
			return
		}
	}
}

// pad4 returns b followed by zeros up to a multiple of four bytes.
func pad4(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b[:len(b):len(b)], 0)
	}
	return b
}
