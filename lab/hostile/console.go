package hostile

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"goxl/xenctrl/abi"
)

// The page of the console. Source: xen/include/public/io/console.h.
const (
	conOut     = 1024
	conOutSize = 2048
	conInCons  = 3072
	conInProd  = 3076
	conOutCons = 3080
	conOutProd = 3084
)

func consoleMisdeeds() []misdeed {
	all := []misdeed{
		{"console/nodes", consoleNodes},
		{"console/storm", withConsole(consoleStorm)},
		{"console/flood", withConsole(consoleFlood)},
	}
	for _, i := range []struct {
		name string
		at   int
		add  uint32
	}{
		{"output-one-too-many", conOutProd, conOutSize + 1},
		{"output-far-ahead", conOutProd, 1 << 31},
		{"output-backwards", conOutProd, 1<<32 - 1},
		{"output-taken-before", conOutCons, 1<<32 - 100},
		{"output-taken-ahead", conOutCons, 5000},
		{"input-far-ahead", conInProd, 1 << 31},
		{"input-read-ahead", conInCons, 70000},
	} {
		all = append(all, misdeed{"console/" + i.name, withConsole(func(_ context.Context, c *console) (string, error) {
			return c.skew(i.at, i.add)
		})})
	}
	return all
}

// console is the page of this guest's console, which its kernel uses, too, and the
// terminal above it: the kernel sends an event for what is written there, as it must be
// the one who does.
type console struct {
	page []byte
	tty  *os.File
}

// withConsole reaches the page through /dev/mem: in a PVH guest it is not among the
// guest's memory, so that the kernel lets us.
func withConsole(do func(context.Context, *console) (string, error)) func(context.Context, *guest) (string, error) {
	return func(ctx context.Context, g *guest) (_ string, err error) {
		frame, err := g.number(ctx, "console/ring-ref")
		if err != nil {
			return "", err
		}
		mem, err := os.OpenFile("/dev/mem", os.O_RDWR, 0)
		if err != nil {
			return "", err
		}
		defer mem.Close()
		page, err := unix.Mmap(int(mem.Fd()), int64(frame)<<abi.PageShift, abi.PageSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			return "", fmt.Errorf("map the console's page %#x: %w", frame, err)
		}
		defer func() { err = errors.Join(err, unix.Munmap(page)) }()
		tty, err := os.OpenFile("/dev/hvc0", os.O_WRONLY|unix.O_NOCTTY, 0)
		if err != nil {
			return "", err
		}
		defer tty.Close()
		return do(ctx, &console{page, tty})
	}
}

func (g *guest) number(ctx context.Context, path string) (uint64, error) {
	v, err := g.store.Read(ctx, path)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(v, 10, 64)
}

func (c *console) word(at int) *uint32 { return (*uint32)(unsafe.Pointer(&c.page[at])) }

// notify has the kernel print a byte and send an event. It refuses to while it finds
// the indices broken.
func (c *console) notify() { _, _ = c.tty.Write([]byte{'.'}) }

// skew adds to an index and takes it off again, while something is printed, for a
// second. The line that is printed next shows that the console goes on.
func (c *console) skew(at int, add uint32) (string, error) {
	w := c.word(at)
	n := 0
	err := during(func(n int) {
		if n%2 == 0 {
			atomic.AddUint32(w, add)
			time.Sleep(3 * time.Millisecond)
		} else {
			atomic.AddUint32(w, -add)
			time.Sleep(time.Millisecond)
		}
	}, func() error {
		for end := time.Now().Add(time.Second); time.Now().Before(end); n++ {
			c.notify()
			time.Sleep(500 * time.Microsecond)
		}
		return nil
	})
	// As if all were taken: either end may have moved meanwhile.
	atomic.StoreUint32(c.word(conOutProd), atomic.LoadUint32(c.word(conOutCons)))
	atomic.StoreUint32(c.word(conInCons), atomic.LoadUint32(c.word(conInProd)))
	c.newLine()
	return fmt.Sprintf("%d events", n), err
}

// newLine begins a line, when the daemon has had time to look at the indices.
func (c *console) newLine() {
	time.Sleep(100 * time.Millisecond)
	_, _ = c.tty.WriteString("\r\n")
}

func consoleStorm(_ context.Context, c *console) (string, error) {
	n := 0
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); n++ {
		c.notify()
	}
	c.newLine()
	return fmt.Sprintf("%d events", n), nil
}

// consoleFlood prints all that is taken for two seconds, beside the kernel.
func consoleFlood(_ context.Context, c *console) (string, error) {
	line := []byte("................ flood ................\r\n")
	n := 0
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); {
		cons, prod := atomic.LoadUint32(c.word(conOutCons)), atomic.LoadUint32(c.word(conOutProd))
		for prod-cons <= uint32(conOutSize-len(line)) {
			for _, b := range line {
				c.page[conOut+prod%conOutSize] = b
				prod++
			}
			n += len(line)
		}
		atomic.StoreUint32(c.word(conOutProd), prod)
		c.notify()
	}
	c.newLine()
	return fmt.Sprintf("%d KiB", n>>10), nil
}

// consoleNodes tries to write what says where the console's output goes (XSA-57).
func consoleNodes(ctx context.Context, g *guest) (string, error) {
	n := 0
	for _, name := range []string{"tty", "type", "output", "limit", "ring-ref", "port", "backend", "backend-id", ""} {
		path := "console"
		if name != "" {
			path += "/" + name
		}
		if err := g.store.Write(ctx, path, "/etc/passwd"); err == nil {
			return "", fmt.Errorf("%s can be written", path)
		}
		n++
	}
	return fmt.Sprintf("%d nodes are not ours", n), nil
}
