package domains

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"goxl/domains/config"
	"goxl/domains/device"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

var update = flag.Bool("update", false, "write docs/faults.md anew")

// errnos are what a refused request of each class answers.
var errnos = [classes]syscall.Errno{hypercalls: syscall.EPERM, requests: syscall.EIO, systemCalls: syscall.EIO}

// operation is one that is walked through: each of its requests is refused in turn.
type operation struct {
	name string
	// begin makes what the operation starts from, and returns the guest.
	begin func(w *walk) abi.DomID
	do    func(ctx context.Context, m *Manager, w *walk, id abi.DomID) error
	// repeats: after an error the same again finishes the job. Otherwise an error
	// means that everything is as before.
	repeats bool
	// ends: an error means that the guest is gone, and nothing of it is left.
	ends bool
	gone Code // what the repetition may answer where there is nothing left to do
	// after brings the world from the operation's success back to where it began.
	after func(w *walk, id abi.DomID)
}

// walk is one operation on one kind of guest.
type walk struct {
	*world
	kind config.DomainType
	care *care // of the guest's supervisor
}

func (w *walk) create() abi.DomID {
	return w.mustCreate(w.fullSpec(w.kind, false), CreateOptions{})
}

func (w *walk) disk() *config.Disk {
	return &config.Disk{Path: config.Some(w.image("spare.img")), VDev: config.Some("xvde"), Format: config.FormatRaw, ReadWrite: 1}
}

func (w *walk) nic() *config.NIC {
	return &config.NIC{Bridge: config.Some("xenbr0"), DevID: config.Some(7), MAC: config.MAC{0, 0x16, 0x3e, 1, 2, 3}}
}

var operations = []operation{
	{name: "create", begin: func(*walk) abi.DomID { return 0 },
		do: func(ctx context.Context, m *Manager, w *walk, _ abi.DomID) error {
			_, err := m.Create(ctx, w.fullSpec(w.kind, false), CreateOptions{})
			return err
		},
		after: func(w *walk, _ abi.DomID) {
			w.dropNote()
			w.destroyAll()
		}},
	{name: "destroy", repeats: true, gone: NoDomain, begin: (*walk).create,
		do: func(ctx context.Context, m *Manager, _ *walk, id abi.DomID) error { return m.Destroy(ctx, id) }},
	{name: "block-attach", begin: (*walk).create,
		do: func(ctx context.Context, m *Manager, w *walk, id abi.DomID) error {
			return m.AttachDisk(ctx, id, w.disk())
		},
		after: func(w *walk, id abi.DomID) { w.must(w.m.DetachDisk(w.Context(), id, "xvde", device.Forced)) }},
	{name: "block-detach", repeats: true, gone: NoDevice,
		begin: func(w *walk) abi.DomID {
			id := w.create()
			w.must(w.m.AttachDisk(w.Context(), id, w.disk()))
			return id
		},
		do: func(ctx context.Context, m *Manager, _ *walk, id abi.DomID) error {
			return m.DetachDisk(ctx, id, "xvde", device.Auto)
		}},
	{name: "network-attach", begin: (*walk).create,
		do: func(ctx context.Context, m *Manager, w *walk, id abi.DomID) error {
			return m.AttachNIC(ctx, id, w.nic())
		},
		after: func(w *walk, id abi.DomID) { w.must(w.m.DetachNIC(w.Context(), id, "7", device.Forced)) }},
	{name: "network-detach", repeats: true, gone: NoDevice,
		begin: func(w *walk) abi.DomID {
			id := w.create()
			w.must(w.m.AttachNIC(w.Context(), id, w.nic()))
			return id
		},
		do: func(ctx context.Context, m *Manager, _ *walk, id abi.DomID) error {
			return m.DetachNIC(ctx, id, "7", device.Auto)
		}},
	{name: "reboot", ends: true, begin: (*walk).supervised, do: reboot, after: (*walk).letGo},
}

// Whichever request of an operation is refused, an error says so, and nothing is
// left half done.
func TestFaultWalk(t *testing.T) {
	rows := make([]string, len(operations)*len(kinds))
	t.Cleanup(func() { // when all of them are done
		if !t.Failed() && !slices.Contains(rows, "") {
			checkTable(t, "../docs/faults.md", rows)
		}
	})
	for i, o := range operations {
		for j, kind := range kinds {
			t.Run(o.name+"/"+kind.String(), func(t *testing.T) {
				t.Parallel()
				w := &walk{world: newWorld(t, xentest.Config{}), kind: kind}
				n := w.least(&o)
				w.through(&o)
				rows[i*len(kinds)+j] = fmt.Sprintf("| %s | %s | %d | %d | %d |", o.name, strings.ToUpper(kind.String()),
					n[hypercalls], n[requests], n[systemCalls])
			})
		}
	}
}

// least returns how many requests of each class the operation makes when little gets
// into its way, such as a transaction of a backend.
func (w *walk) least(o *operation) (n [classes]int) {
	n = w.count(o)
	for range 2 {
		for c, m := range w.count(o) {
			n[c] = min(n[c], m)
		}
	}
	return n
}

// count runs the operation undisturbed and returns how many requests it made.
func (w *walk) count(o *operation) [classes]int {
	id := o.begin(w)
	m, exit := w.process()
	defer exit()
	w.trip.set(&tripwire{})
	w.must(o.do(w.Context(), m, w, id))
	n := w.trip.counts()
	w.trip.off()
	if o.after != nil {
		o.after(w, id)
	}
	w.destroyAll()
	w.nothingLeft()
	w.forgetIDs()
	return n
}

// through refuses each request of each class, or one in so many.
func (w *walk) through(o *operation) {
	for c := range classes {
		for n := 1; !w.Failed() && w.refuse(o, c, n); n += stride(11) {
		}
	}
	w.destroyAll()
	w.nothingLeft()
}

// refuse runs the operation and refuses the nth request of a class. It reports
// false when there were not as many.
func (w *walk) refuse(o *operation, c class, n int) bool {
	id := o.begin(w)
	before := w.state()
	m, exit := w.process()
	defer exit()
	w.trip.set(&tripwire{at: n, of: c, fail: errnos[c]})
	err := o.do(w.Context(), m, w, id)
	hit := w.trip.off()
	switch {
	case err != nil && hit == "":
		w.Fatalf("nothing was refused: %v", err)
	case err != nil && strings.TrimSpace(err.Error()) == "":
		w.Error("an error without words")
	case err != nil && o.repeats:
		if e := o.do(w.Context(), w.m, w, id); e != nil && !errors.Is(e, o.gone) {
			w.Errorf("and the same again: %v", e)
		}
	case err != nil && o.ends:
		w.nothingLeft()
	case err != nil:
		if diff := gocmp.Diff(before, w.state()); diff != "" {
			w.Errorf("not as before (-before +after):\n%s", diff)
		}
	case o.ends:
		o.after(w, id)
	case o.after != nil:
		o.after(w, id)
		// The stored configuration keeps a detached device, as libxl's does; a lock
		// file that could not be removed is taken by the next who needs it.
		stored := func(line string) bool { return strings.HasPrefix(line, "/userdata-") }
		if diff := gocmp.Diff(slices.DeleteFunc(before, stored), slices.DeleteFunc(w.state(), stored)); diff != "" {
			w.Errorf("not taken back (-before +after):\n%s", diff)
		}
	}
	w.destroyAll()
	w.takeFreeLock(hit)
	w.nothingLeft()
	w.forgetIDs()
	if w.Failed() {
		w.Logf("refused: number %d, %s: %v", n, hit, err)
	}
	return hit != ""
}

// dropNote collects the note of a complete guest, which could perhaps not be removed.
// There is no other.
func (w *walk) dropNote() {
	list, err := w.m.Collect(w.Context(), CollectOptions{})
	if err != nil || len(list) > 1 || len(list) == 1 && list[0].Kept == "" {
		w.Errorf("collected %v, %v", list, err)
	}
}

// takeFreeLock takes and releases the lock whose file could not be removed, as the
// next who needs it does; then it is gone. It must be free.
func (w *walk) takeFreeLock(hit string) {
	path, ok := strings.CutPrefix(hit, "unlink ")
	if !ok || !strings.HasSuffix(path, "lock") && filepath.Base(path) != "block" {
		return
	}
	if l, err := w.host.TryLock(path); err == nil {
		w.must(l.Unlock())
	} else if !errors.Is(err, fs.ErrNotExist) {
		w.Error(err)
	}
}

// destroyAll destroys every guest.
func (w *world) destroyAll() {
	w.Helper()
	for _, id := range w.xen.IDs() {
		if id == backendDom {
			continue
		}
		if err := w.m.Destroy(w.Context(), id); err != nil {
			w.Fatal(err)
		}
	}
}

// state describes all that an attach could change: nodes, loop devices,
// interfaces, and what is stored about guests.
func (w *walk) state() []string {
	var s []string
	for path, value := range w.srv.Dump() {
		s = append(s, path+" = "+value)
	}
	slices.Sort(s)
	files, err := filepath.Glob(filepath.Join(w.dir, "userdata-*"))
	w.must(err)
	for _, name := range files {
		b, err := os.ReadFile(name)
		w.must(err)
		s = append(s, strings.TrimPrefix(name, w.dir)+fmt.Sprintf(" with %d bytes", len(b)))
	}
	for _, path := range slices.Sorted(maps.Keys(w.kern.Loops())) {
		s = append(s, path)
	}
	return append(s, w.kern.LinkNames()...)
}

const tableHead = `# What was refused, and left nothing

Written by ` + "`go test ./domains -run TestFaultWalk -update`" + `, and checked by the same test without -update, which refuses
one request in eleven only, unless GOXL_WALK=full is set. For each operation it
refuses one request after the other: the first hypercall, the second, and so on, each in a run of its own, and likewise each
request of xenstore and each request to the kernel about files, loop devices, interfaces and processes. After each run nothing
may be left: of a refused create nothing at all, after a refused attach everything is as before, and after a refused destroy or
detach the same command again finishes the job. Reboot is what the supervisor does when a guest asks for one; afterwards the
guest runs in a new domain with all its devices, or nothing of it is left and its log says why.

The numbers are how many requests there were, the least of three runs without a refusal. They differ from run to run, those of
xenstore most: a transaction that meets one of a backend is made again, and news that come close together are one look
instead of two.

| Operation | Guest | Hypercalls | Xenstore | Kernel |
|---|---|---|---|---|
`

// checkTable compares the file with what was counted, or writes it.
func checkTable(t *testing.T, path string, rows []string) {
	text := tableHead + strings.Join(rows, "\n") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	body, ok := strings.CutPrefix(string(have), tableHead)
	lines := strings.Split(strings.TrimSpace(body), "\n")
	if !ok || len(lines) != len(rows) {
		t.Fatalf("%s is out of date: run this test with -update", path)
	}
	for i, row := range rows {
		if !alike(row, lines[i]) {
			t.Errorf("%s says\n%s\nand there were\n%s\n(run this test with -update)", path, lines[i], row)
		}
	}
}

// alike reports whether two rows are the same but for a few requests, or one in four.
func alike(a, b string) bool {
	const few, part = 8, 4
	x, y := strings.Split(a, "|"), strings.Split(b, "|")
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		var n, m int
		_, err1 := fmt.Sscan(x[i], &n)
		_, err2 := fmt.Sscan(y[i], &m)
		if (err1 != nil || err2 != nil) && x[i] != y[i] || max(n-m, m-n) > max(few, m/part) {
			return false
		}
	}
	return true
}
