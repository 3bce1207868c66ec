package migrate

import (
	"fmt"

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
	g.top, g.gen = abi.PFN(n-1), le.Uint64(s[sharedP2MGen:])
	var err error
	if cr3 := le.Uint64(s[sharedP2MCR3:]); cr3 != 0 {
		g.leaves, err = g.linearList(cr3, le.Uint64(s[sharedP2MVAddr:]))
	} else {
		g.leaves, err = g.frameList(abi.GFN(le.Uint64(s[sharedFrameList:])))
	}
	if err != nil {
		return err
	}
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
	if err := g.shared.With(func(b []byte) error { now = le.Uint64(b[sharedP2MGen:]); return nil }); err != nil {
		return err
	}
	if now != g.gen || now&1 != 0 {
		return fmt.Errorf("the guest is moving its table of pages (generation %d, was %d): try again", now, g.gen)
	}
	return nil
}

// frameList follows the tree of three levels whose root is frame root.
// Source: xen/include/public/arch-x86/xen.h, pfn_to_mfn_frame_list_list.
func (g *pvGuest) frameList(root abi.GFN) ([]abi.GFN, error) {
	want := int(g.top)/perPage + 1
	top, err := g.words(root)
	if err != nil {
		return nil, err
	}
	var leaves []abi.GFN
	for _, mid := range top[:min((want+perPage-1)/perPage, perPage)] {
		list, err := g.words(abi.GFN(mid))
		if err != nil {
			return nil, err
		}
		for _, f := range list[:min(want-len(leaves), perPage)] {
			leaves = append(leaves, abi.GFN(f))
		}
	}
	if len(leaves) < want {
		return nil, fmt.Errorf("a tree of three levels has no room for %d entries", uint64(g.top)+1)
	}
	return leaves, nil
}

// linearList walks the page tables at cr3 for the frames behind the virtual
// addresses from addr on. Source: arch-x86/xen.h, p2m_cr3 and p2m_vaddr.
func (g *pvGuest) linearList(cr3, addr uint64) ([]abi.GFN, error) {
	want := int(g.top)/perPage + 1
	if addr%abi.PageSize != 0 {
		return nil, fmt.Errorf("it begins inside of a page, at %#x", addr)
	}
	leaves := make([]abi.GFN, 0, want)
	var tables [5][]uint64 // by level, of the address at hand
	for i := range want {
		a := addr + uint64(i)*abi.PageSize
		f := abi.GFN(cr3 >> abi.PageShift)
		for level := 4; level >= 1; level-- {
			shift := abi.PageShift + 9*(level-1)
			if i == 0 || a>>(shift+9) != (a-abi.PageSize)>>(shift+9) { // not the table of the page before
				t, err := g.words(f)
				if err != nil {
					return nil, fmt.Errorf("its page tables: %w", err)
				}
				tables[level] = t
			}
			e := tables[level][a>>shift%perPage]
			if e&ptePresent == 0 || level > 1 && e&pteLarge != 0 {
				return nil, fmt.Errorf("its page tables do not map address %#x (level %d: %#x)", a, level, e)
			}
			f = abi.GFN(e & pteFrame >> abi.PageShift)
		}
		leaves = append(leaves, f)
	}
	return leaves, nil
}

// words copies a page of the guest's.
func (g *pvGuest) words(f abi.GFN) ([]uint64, error) {
	m, err := g.xen.MapForeign(g.id, []abi.GFN{f}, xenctrl.ProtRead)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	w := make([]uint64, perPage)
	return w, m.With(func(b []byte) error {
		for i := range w {
			w[i] = le.Uint64(b[i*8:])
		}
		return nil
	})
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
