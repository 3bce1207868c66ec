package host

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// openPastCache opens a file for reading with O_DIRECT, or without where the file
// system has no such thing.
func (h *Host) openPastCache(path string) (*os.File, error) {
	f, err := h.OpenFile(path, os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return h.OpenFile(path, os.O_RDONLY, 0)
	}
	return f, nil
}

// aligned is memory as O_DIRECT wants it.
func aligned(n int) (b []byte, free func(), err error) {
	b, err = unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	return b, func() { unix.Munmap(b) }, err
}

// localFileSystem names the file system of f if no two hosts can have it at a time.
// Source: linux/magic.h and statfs(2).
func localFileSystem(f *os.File) string {
	var s unix.Statfs_t
	if unix.Fstatfs(int(f.Fd()), &s) != nil {
		return ""
	}
	switch uint32(s.Type) {
	case 0xef53:
		return "ext4"
	case 0x58465342:
		return "XFS"
	case 0x9123683e:
		return "Btrfs"
	case 0xf2f52010:
		return "F2FS"
	case 0x2fc12fc1:
		return "ZFS"
	case 0x01021994, 0x858458f6:
		return "tmpfs"
	case 0x794c7630:
		return "overlay"
	}
	return ""
}

// deviceID is what a block device is called wherever it is seen.
func (h *Host) deviceID(fi fs.FileInfo) string {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return ""
	}
	dir := filepath.Join(h.Sys, fmt.Sprintf("dev/block/%d:%d", unix.Major(uint64(st.Rdev)), unix.Minor(uint64(st.Rdev))))
	for _, name := range []string{"dm/uuid", "wwid", "device/wwid"} {
		if b, err := h.ReadFile(filepath.Join(dir, name)); err == nil && len(strings.TrimSpace(string(b))) > 0 {
			return strings.TrimSpace(string(b))
		}
	}
	return ""
}

// BootID is another one whenever a machine has booted; "" when the kernel has none.
func (h *Host) BootID() string {
	b, err := h.ReadFile(filepath.Join(h.Proc, "sys/kernel/random/boot_id"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
