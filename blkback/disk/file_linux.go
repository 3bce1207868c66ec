package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// file is a regular file or a block device of the host. It may be used by many
// goroutines at a time. ReadAt and WriteAt, in direct.go, take any alignment.
type file struct {
	f     *os.File
	conn  syscall.RawConn // keeps the descriptor alive during system calls
	path  string
	block bool
	size  atomic.Int64

	direct   bool
	memAlign int          // of buffers, for direct I/O
	offAlign int          // of offsets and lengths
	rmw      sync.RWMutex // held alone while part of an aligned block is changed

	sector, physical int
	granularity      int // of discards, 0: none
	alignment        int
	readOnly         bool
	locked           bool // by us, until all requests have ended
}

// openFile opens the regular file or block device at path as o says.
func openFile(path string, o Options) (*file, error) {
	return openWith(path, o, func(flags int) (*os.File, error) { return os.OpenFile(path, flags, 0) })
}

// openWith opens a file by means of open; path is for messages.
func openWith(path string, o Options, open func(flags int) (*os.File, error)) (*file, error) {
	flags := os.O_RDWR
	if o.ReadOnly {
		flags = os.O_RDONLY
	}
	// Without O_NONBLOCK the open of a pipe would wait for its other end.
	f, direct, err := openDirect(flags|unix.O_NONBLOCK, o.Direct, open)
	if err != nil {
		return nil, fmt.Errorf("open disk %s: %w", path, err)
	}
	h := &file{f: f, path: path, direct: direct, readOnly: o.ReadOnly}
	if err := h.setup(o); err != nil {
		f.Close()
		return nil, fmt.Errorf("open disk %s: %w", path, err)
	}
	return h, nil
}

// openDirect opens with O_DIRECT if want, or without where that is refused.
func openDirect(flags int, want bool, open func(flags int) (*os.File, error)) (*os.File, bool, error) {
	if want {
		f, err := open(flags | unix.O_DIRECT)
		if !errors.Is(err, unix.EINVAL) {
			return f, true, err
		}
	}
	f, err := open(flags)
	return f, false, err
}

func (h *file) setup(o Options) error {
	st, err := h.f.Stat()
	if err != nil {
		return err
	}
	if h.conn, err = h.f.SyscallConn(); err != nil {
		return err
	}
	switch mode := st.Mode(); {
	case mode.IsRegular():
		err = h.setupRegular(st)
	case mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0:
		h.block = true
		err = h.setupBlock()
	default:
		err = fmt.Errorf("it is neither a regular file nor a block device (%v)", mode)
	}
	if err != nil {
		return err
	}
	if h.direct {
		h.alignDirect()
	}
	return h.takeLock(o)
}

func (h *file) setupRegular(st fs.FileInfo) error {
	h.size.Store(st.Size())
	h.sector, h.physical = 512, 4096
	sys, ok := st.Sys().(*syscall.Stat_t)
	if ok && sys.Blksize >= 512 && sys.Blksize <= 1<<20 {
		h.granularity = int(sys.Blksize) // holes are made of the file system's blocks
	}
	return nil
}

// setupBlock asks the kernel about a block device. Source: linux/fs.h and
// Documentation/ABI/stable/sysfs-block.
func (h *file) setupBlock() error {
	size, err := h.blockSize()
	if err != nil {
		return err
	}
	h.size.Store(size)
	var ro, sector, physical int
	err = h.control(func(fd int) (err error) {
		if ro, err = unix.IoctlGetInt(fd, unix.BLKROGET); err != nil {
			return fmt.Errorf("ask whether it is read-only: %w", err)
		}
		if sector, err = unix.IoctlGetInt(fd, unix.BLKSSZGET); err != nil {
			return fmt.Errorf("ask for its sector size: %w", err)
		}
		if physical, err = unix.IoctlGetInt(fd, unix.BLKPBSZGET); err != nil {
			return fmt.Errorf("ask for its physical sector size: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	// The kernel fills an int; the helper's is wider.
	h.sector, h.physical = int(uint32(sector)), int(uint32(physical))
	if uint32(ro) != 0 && !h.readOnly {
		return fmt.Errorf("the device is read-only: %w", unix.EROFS)
	}
	h.granularity, h.alignment = h.queueLimits()
	return nil
}

// queueLimits are the discard granularity and alignment of a block device.
func (h *file) queueLimits() (granularity, alignment int) {
	var st unix.Stat_t
	if err := h.control(func(fd int) error { return unix.Fstat(fd, &st) }); err != nil {
		return 0, 0
	}
	dir := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return 0, 0
	}
	queue := filepath.Join(dir, "queue")
	if _, err := os.Stat(queue); err != nil {
		queue = filepath.Join(filepath.Dir(dir), "queue") // a partition: its disk's
	}
	if readNumber(filepath.Join(queue, "discard_max_bytes")) == 0 {
		return 0, 0
	}
	return readNumber(filepath.Join(queue, "discard_granularity")), readNumber(filepath.Join(dir, "discard_alignment"))
}

func readNumber(path string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// control runs fn with the descriptor, which cannot be closed meanwhile.
func (h *file) control(fn func(fd int) error) error {
	var err error
	if cerr := h.conn.Control(func(fd uintptr) { err = fn(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

// retry repeats a system call that a signal interrupted.
func retry(call func() error) error {
	for {
		if err := call(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (h *file) blockSize() (int64, error) {
	var size uint64
	err := h.ioctl(unix.BLKGETSIZE64, unsafe.Pointer(&size))
	if err != nil {
		return 0, fmt.Errorf("ask for its size: %w", err)
	}
	if size > 1<<62 {
		return 0, fmt.Errorf("a size of %d bytes is beyond this program", size)
	}
	return int64(size), nil
}

func (h *file) ioctl(request uint, arg unsafe.Pointer) error {
	return h.control(func(fd int) error {
		return retry(func() error {
			if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg)); e != 0 {
				return e
			}
			return nil
		})
	})
}

// Refresh asks for the size again.
func (h *file) Refresh() (int64, error) {
	size, err := h.currentSize()
	if err != nil {
		return 0, fmt.Errorf("size of disk %s: %w", h.path, err)
	}
	h.size.Store(size)
	return size, nil
}

func (h *file) currentSize() (int64, error) {
	if h.block {
		return h.blockSize()
	}
	st, err := h.f.Stat()
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// Size is the length in bytes as last asked for or set.
func (h *file) Size() int64 { return h.size.Load() }

// Grow makes a regular file longer; what is added reads as zeroes.
func (h *file) Grow(size int64) error {
	if size <= h.size.Load() {
		return nil
	}
	if h.block {
		return fmt.Errorf("grow %s to %d bytes: the device has %d: %w", h.path, size, h.size.Load(), unix.ENOSPC)
	}
	if err := h.f.Truncate(size); err != nil {
		return fmt.Errorf("grow to %d bytes: %w", size, err)
	}
	h.size.Store(size)
	return nil
}

// Flush waits until what was written would survive a loss of power.
func (h *file) Flush() error {
	err := h.control(func(fd int) error { return retry(func() error { return unix.Fdatasync(fd) }) })
	if err != nil {
		return fmt.Errorf("flush %s: %w", h.path, err)
	}
	return nil
}

// Discard gives n bytes from off back to the file system or device.
func (h *file) Discard(off, n int64) error {
	if n == 0 {
		return nil
	}
	var err error
	if h.block {
		r := [2]uint64{uint64(off), uint64(n)}
		err = h.ioctl(unix.BLKDISCARD, unsafe.Pointer(&r))
	} else {
		err = h.fallocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
	}
	if err != nil {
		return fmt.Errorf("discard %d bytes at %d of %s: %w", n, off, h.path, err)
	}
	return nil
}

func (h *file) fallocate(mode uint32, off, n int64) error {
	return h.control(func(fd int) error {
		return retry(func() error { return unix.Fallocate(fd, mode, off, n) })
	})
}

// Zero makes n bytes from off read as zeroes, by a hole where the host can.
func (h *file) Zero(off, n int64) error {
	if n == 0 {
		return nil
	}
	mode := uint32(unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE)
	if h.block { // there a hole may be left as it was: ask for zeroes
		mode = unix.FALLOC_FL_ZERO_RANGE | unix.FALLOC_FL_KEEP_SIZE
	}
	err := h.fallocate(mode, off, n)
	if err == nil || !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, unix.EINVAL) {
		return err
	}
	for n > 0 {
		m := min(n, int64(len(zeroes)))
		if _, err := h.WriteAt(zeroes[:m], off); err != nil {
			return err
		}
		off, n = off+m, n-m
	}
	return nil
}

var zeroes [64 << 10]byte // only ever read

// Close closes the file; system calls under way end by themselves.
func (h *file) Close() error {
	h.unlock()
	err := h.f.Close()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}
