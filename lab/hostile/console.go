package hostile

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"
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

// Console is the page of the guest's console, which its kernel uses, too.
type Console struct {
	Page []byte
	// Notify has the kernel print a byte, if it finds the indices in order, and send
	// an event.
	Notify func()
	Print  func(string)
	Close  func() error
}

type console struct{ *Console }

func withConsole(do func(context.Context, *console) (string, error)) func(context.Context, *guest) (string, error) {
	return func(ctx context.Context, g *guest) (_ string, err error) {
		c, err := g.Console(ctx, g.store)
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, c.Close()) }()
		mine := &console{c}
		mine.settle()
		return do(ctx, mine)
	}
}

// settle waits until all that was printed so far has been taken, for a while: it would
// be lost.
func (c *console) settle() {
	quiet := 0
	for end := time.Now().Add(patience / 10); quiet < 20 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if quiet++; atomic.LoadUint32(c.word(conOutProd)) != atomic.LoadUint32(c.word(conOutCons)) {
			quiet = 0
		}
	}
}

func (c *console) word(at int) *uint32 { return (*uint32)(unsafe.Pointer(&c.Page[at])) }

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
		for end := time.Now().Add(attack); time.Now().Before(end); n++ {
			c.Notify()
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
	c.Print("\r\n")
}

func consoleStorm(_ context.Context, c *console) (string, error) {
	n := 0
	for end := time.Now().Add(attack); time.Now().Before(end); n++ {
		c.Notify()
	}
	c.newLine()
	return fmt.Sprintf("%d events", n), nil
}

// consoleFlood prints all that is taken for a second, beside the kernel.
func consoleFlood(_ context.Context, c *console) (string, error) {
	line := []byte("................ flood ................\r\n")
	n := 0
	for end := time.Now().Add(attack); time.Now().Before(end); {
		cons, prod := atomic.LoadUint32(c.word(conOutCons)), atomic.LoadUint32(c.word(conOutProd))
		for prod-cons <= uint32(conOutSize-len(line)) {
			for _, b := range line {
				c.Page[conOut+prod%conOutSize] = b
				prod++
			}
			n += len(line)
		}
		atomic.StoreUint32(c.word(conOutProd), prod)
		c.Notify()
	}
	c.newLine()
	return fmt.Sprintf("%d KiB", n>>10), nil
}

// consoleNodes tries to write what says where the console's output goes (XSA-57). Libxl
// leaves backend-id to the guest, and nobody reads it.
func consoleNodes(ctx context.Context, g *guest) (string, error) {
	n := 0
	for _, name := range []string{"tty", "type", "output", "limit", "ring-ref", "port", "backend", ""} {
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
