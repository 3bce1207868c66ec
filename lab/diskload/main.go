//go:build linux

// Diskload does a fixed amount of direct I/O on a block device and says how long it
// took. It is small and has no threads of its own, so that what it costs beside the
// I/O is little. The benchmark of disks runs it in guests.
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// load is what is to be done.
type load struct {
	device string
	write  bool
	random bool
	size   int   // bytes of a request
	depth  int   // requests under way
	count  int   // of all requests
	span   int64 // bytes of the device that are used, from its start
}

func main() {
	var l load
	flag.BoolVar(&l.write, "write", false, "write, and lose what is there")
	flag.BoolVar(&l.random, "random", false, "at random places, instead of one after the other")
	flag.IntVar(&l.size, "size", 4096, "`bytes` of a request")
	flag.IntVar(&l.depth, "depth", 1, "`requests` at a time")
	flag.IntVar(&l.count, "count", 1000, "`requests` in all")
	flag.Int64Var(&l.span, "span", 1<<20, "`bytes` of the device that are used")
	tag := flag.String("tag", "", "`text` of the answer")
	flag.Parse()
	l.device = flag.Arg(0)
	took, err := l.run()
	if err != nil {
		fmt.Fprintf(os.Stderr, "diskload: %v\n", err)
		os.Exit(1)
	}
	fmt.Printf("diskload %s took %d us\n", *tag, took.Microseconds())
}

// iocb and event are the kernel's. Source: linux/aio_abi.h.
type iocb struct {
	data     uint64
	key      uint32
	rwFlags  uint32
	opcode   uint16
	priority int16
	fd       uint32
	buf      uint64
	bytes    uint64
	offset   int64
	reserved uint64
	flags    uint32
	resFD    uint32
}

type event struct {
	data, obj  uint64
	res1, res2 int64
}

const (
	opRead  = 0 // IOCB_CMD_PREAD
	opWrite = 1 // IOCB_CMD_PWRITE
)

func (l *load) run() (time.Duration, error) {
	if l.size < 512 || l.size%512 != 0 || l.depth < 1 || l.count < 1 || l.span < int64(l.size) {
		return 0, fmt.Errorf("%+v makes no sense", *l)
	}
	flags := unix.O_RDONLY
	if l.write {
		flags = unix.O_WRONLY
	}
	fd, err := unix.Open(l.device, flags|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("open %s: %w", l.device, err)
	}
	defer unix.Close(fd)
	mem, err := unix.Mmap(-1, 0, l.size*l.depth, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_POPULATE)
	if err != nil {
		return 0, fmt.Errorf("memory: %w", err)
	}
	for i := range mem {
		mem[i] = byte(i>>8) ^ byte(i)
	}
	var queue uintptr
	if _, _, e := unix.Syscall(unix.SYS_IO_SETUP, uintptr(l.depth), uintptr(unsafe.Pointer(&queue)), 0); e != 0 {
		return 0, fmt.Errorf("io_setup: %w", e)
	}
	begin := time.Now()
	if err := l.drive(queue, fd, mem); err != nil {
		return 0, err
	}
	return time.Since(begin), nil
}

// drive keeps depth requests under way until all are done.
func (l *load) drive(queue uintptr, fd int, mem []byte) error {
	rng := rand.New(rand.NewPCG(1, 2))
	blocks := l.span / int64(l.size)
	blockOf := func(n int) int64 {
		if l.random {
			return rng.Int64N(blocks)
		}
		return int64(n) % blocks
	}
	cbs := make([]iocb, l.depth)
	list := make([]*iocb, 0, l.depth)
	events := make([]event, l.depth)
	op := uint16(opRead)
	if l.write {
		op = opWrite
	}
	sent := 0
	prepare := func(slot int) {
		cbs[slot] = iocb{data: uint64(slot), opcode: op, fd: uint32(fd), bytes: uint64(l.size),
			buf: uint64(uintptr(unsafe.Pointer(&mem[slot*l.size]))), offset: blockOf(sent) * int64(l.size)}
		list = append(list, &cbs[slot])
		sent++
	}
	for slot := 0; slot < l.depth && sent < l.count; slot++ {
		prepare(slot)
	}
	for done := 0; done < l.count; {
		for len(list) > 0 {
			n, _, e := unix.Syscall(unix.SYS_IO_SUBMIT, queue, uintptr(len(list)), uintptr(unsafe.Pointer(&list[0])))
			if e != 0 {
				return fmt.Errorf("io_submit: %w", e)
			}
			list = list[n:]
		}
		list = list[:0]
		n, _, e := unix.Syscall6(unix.SYS_IO_GETEVENTS, queue, 1, uintptr(len(events)), uintptr(unsafe.Pointer(&events[0])), 0, 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return fmt.Errorf("io_getevents: %w", e)
		}
		for _, ev := range events[:n] {
			if ev.res1 != int64(l.size) {
				return fmt.Errorf("a request of %d bytes ended with %d", l.size, ev.res1)
			}
			done++
			if sent < l.count {
				prepare(int(ev.data))
			}
		}
	}
	return nil
}
