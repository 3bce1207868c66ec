package migrate

import (
	"fmt"

	"goxl/domains/p2m"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// findP2M finds and maps the table in which the guest keeps the machine frame of
// each of its pages. owned is how many pages it has: the table cannot take more.
func (g *pvGuest) findP2M(owned abi.Pages) error {
	s := make([]byte, abi.PageSize)
	if err := g.shared.With(func(b []byte) error { copy(s, b); return nil }); err != nil {
		return err
	}
	n := le.Uint64(s[sharedMaxPFN:])
	if n == 0 || n > mostPages {
		return fmt.Errorf("it has %#x entries by the shared info, 1 to %#x can be saved: does the guest run a kernel that can?", n, uint64(mostPages))
	}
	if leaves := (n + perPage - 1) / perPage; leaves > uint64(owned) {
		return fmt.Errorf("its %d entries need %d pages, and the guest has %d in all", n, leaves, owned)
	}
	table, err := p2m.Find(g.xen, g.id, s, n)
	if err != nil {
		return err
	}
	g.top, g.gen, g.leaves = abi.PFN(n-1), table.Generation, table.Leaves
	g.trim()
	if g.p2m, err = g.xen.MapForeign(g.id, g.leaves, xenctrl.ProtRead); err != nil {
		return err
	}
	return g.check()
}

// check fails when the guest has put its table elsewhere since it was found. Only
// one that maps it at addresses of its own says so.
func (g *pvGuest) check() error {
	var now uint64
	if err := g.shared.With(func(b []byte) error { now = le.Uint64(b[p2m.OffGeneration:]); return nil }); err != nil {
		return err
	}
	if now != g.gen || now&1 != 0 {
		return fmt.Errorf("the guest is moving its table of pages (generation %d, was %d): try again", now, g.gen)
	}
	return nil
}

// trim drops the end of the table when it is the same frame again and again:
// kernels fill up unused entries so.
func (g *pvGuest) trim() {
	n := len(g.leaves)
	for n > 1 && g.leaves[n-1] == g.leaves[n-2] {
		n--
	}
	if n == len(g.leaves) {
		return
	}
	g.leaves, g.top = g.leaves[:n], abi.PFN(n*perPage-1)
}
