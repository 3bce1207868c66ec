package hostile

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"goxl/xenctrl/gnttab"
	"goxl/xenstore"
)

// Program is the name by which the test's binary is the guest's program.
const Program = "goxl-hostile"

// patience is how long a backend on an emulated machine may take for a step.
const patience = time.Minute

// attack is how long a misdeed lasts that is done again and again.
const attack = time.Second

// domain0 serves all devices.
const domain0 gnttab.DomID = 0

// Xen is what the guest asks of its kernel.
type Xen interface {
	// Share makes n pages and grants them to domain 0.
	Share(n int, a gnttab.Access) (*Pages, error)
	// BindUnbound makes a port for another domain.
	BindUnbound(gnttab.DomID) (gnttab.Port, error)
	Unbind(gnttab.Port) error
	Notify(gnttab.Port) error
	Console(context.Context, *xenstore.Client) (*Console, error)
}

// Pages are memory of the guest's that lies side by side and is granted page by page.
type Pages struct {
	Bytes []byte // until Free
	Refs  []gnttab.GrantRef
	Free  func() error // takes the grants back; it is called once
}

// guest is what all misdeeds work with.
type guest struct {
	Xen
	store   *xenstore.Client
	rand    *rand.Rand
	watches map[string]*xenstore.Watch // by what they watch, until the end
	fresh   map[string]bool            // devices by directory that were reset, and nothing since

	// What the last misdeed left connected.
	disks map[string]*disk
	vif   *vif
}

// misdeed is one thing that a guest must not do. It returns what came of it, or an
// error when the backend did not do what it should.
type misdeed struct {
	name string
	do   func(context.Context, *guest) (string, error)
}

// misdeeds returns all of them in their order. What a misdeed leaves behind the next
// one of the same device clears away.
func misdeeds() []misdeed {
	var all []misdeed
	for _, part := range [][]misdeed{consoleMisdeeds(), netMisdeeds(), diskMisdeeds()} {
		all = append(all, part...)
	}
	return all
}

// GoNode is the node below the guest's directory for which the program waits before it
// begins.
const GoNode = "data/go"

// Only is the variable of the program's environment that has parts of the misdeeds'
// names, with commas between them: what has none of them is not done. Linux takes it
// from its command line. Without it all are done.
const Only = "GOXL_HOSTILE_ONLY"

// Main is the guest's program; it returns its exit status. Only is as the variable of
// that name.
func Main(out io.Writer, only string) int {
	ctx := context.Background()
	store, err := xenstore.Dial(ctx, xenstore.WithPath("/dev/xen/xenbus"))
	if err != nil {
		fmt.Fprintf(out, "hostile: begin: BAD %v\n", err)
		return 1
	}
	defer store.Close()
	xen, err := openKernel()
	if err != nil {
		fmt.Fprintf(out, "hostile: begin: BAD %v\n", err)
		return 1
	}
	defer xen.close()
	fmt.Fprintln(out, "hostile: ready")
	if _, err := store.Await(ctx, GoNode, func(_ string, exists bool) bool { return exists }); err != nil {
		fmt.Fprintf(out, "hostile: begin: BAD %v\n", err)
		return 1
	}
	Run(ctx, out, store, xen, only)
	return 0
}

// Run does the misdeeds that only names, as the variable does, and prints a line for
// each. Store is the guest's connection.
func Run(ctx context.Context, out io.Writer, store *xenstore.Client, xen Xen, only string) {
	g := &guest{Xen: xen, store: store, rand: rand.New(rand.NewPCG(1, 2)), disks: map[string]*disk{}, watches: map[string]*xenstore.Watch{}, fresh: map[string]bool{}}
	defer func() {
		for _, w := range g.watches {
			w.Close()
		}
	}()
	n := 0
	for _, m := range misdeeds() {
		if !named(m.name, only) {
			continue
		}
		n++
		began := time.Now()
		said, err := m.do(ctx, g)
		took := time.Since(began).Round(time.Millisecond)
		if err != nil {
			fmt.Fprintf(out, "hostile: %s: BAD %v (%s)\n", m.name, err, took)
			continue
		}
		fmt.Fprintf(out, "hostile: %s: ok %s (%s)\n", m.name, said, took)
	}
	fmt.Fprintf(out, "hostile: done, %d misdeeds\n", n)
}

// pages are those that a misdeed shares.
type pages struct {
	*Pages
	b    []byte
	once sync.Once
}

// canary fills pages whose content a backend must not touch.
const canary = 0xA5

// share makes n pages full of canaries and grants them.
func (g *guest) share(n int, a gnttab.Access) (*pages, error) {
	p, err := g.Share(n, a)
	if err != nil {
		return nil, err
	}
	for i := range p.Bytes {
		p.Bytes[i] = canary
	}
	return &pages{Pages: p, b: p.Bytes}, nil
}

func (p *pages) ref(i int) gnttab.GrantRef { return p.Refs[i] }

// Close takes the grants back. It may be called twice.
func (p *pages) Close() (err error) {
	p.once.Do(func() { err = p.Free() })
	return err
}

// notGranted is a reference that nobody has granted.
const notGranted gnttab.GrantRef = 30000

// until looks again and again whether ok says so, at first often: the backend needs the
// processor that looking takes.
func until(what string, ok func() (bool, error)) error {
	pause := time.Millisecond
	for end := time.Now().Add(patience); ; time.Sleep(pause) {
		done, err := ok()
		if err != nil || done {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %s for %s", patience, what)
		}
		pause = min(2*pause, 16*time.Millisecond)
	}
}

// IsProgram reports whether this process is the guest's program.
func IsProgram() bool { return strings.HasSuffix(os.Args[0], "/"+Program) }

// Names returns the names of all misdeeds that only names, as the variable does.
func Names(only string) []string {
	var all []string
	for _, m := range misdeeds() {
		if named(m.name, only) {
			all = append(all, m.name)
		}
	}
	return all
}

func named(name, only string) bool {
	return slices.ContainsFunc(strings.Split(only, ","), func(part string) bool { return strings.Contains(name, part) })
}
