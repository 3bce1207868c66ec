package coredump_test

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"goxl/domains/coredump"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

var le = binary.LittleEndian

const guestID = 5

// guest is a domain of the in-memory Xen with pages that name themselves.
type guest struct {
	testing.TB
	m      *xentest.Machine
	h      *xenctrl.Handle
	frames map[uint64]abi.GFN // where each pfn is mapped by
}

func newGuest(t testing.TB, hvm bool, pfns ...abi.PFN) *guest {
	t.Helper()
	m := xentest.New(t, xentest.Config{})
	g := &guest{TB: t, m: m, h: m.Handle(), frames: map[uint64]abi.GFN{}}
	d := &abi.CreateDomain{MaxVCPUs: 2, MaxEvtchnPort: 1023, MaxGrantFrames: 64, MaxMaptrackFrames: 1024}
	if hvm {
		d.Flags, d.EmulationFlags = abi.CreateHVM|abi.CreateHAP, abi.EmuPVH
	}
	g.must(errOf(g.h.CreateDomainAs(guestID, d)))
	g.must(g.h.SetMaxVCPUs(guestID, 2))
	g.must(g.h.SetMaxMem(guestID, 64<<10))
	mfns := make([]abi.MFN, len(pfns))
	g.must(errOf(g.h.Populate(t.Context(), guestID, pfns, 0, 0, mfns)))
	for i, p := range pfns {
		g.frames[uint64(p)] = abi.GFN(mfns[i])
		if hvm {
			g.frames[uint64(p)] = abi.GFN(p)
		}
		g.write(g.frames[uint64(p)], func(b []byte) { copy(b, fmt.Sprintf("page %d", p)) })
	}
	return g
}

func errOf[T any](_ T, err error) error { return err }

func (g *guest) must(err error) {
	g.Helper()
	if err != nil {
		g.Fatal(err)
	}
}

func (g *guest) write(f abi.GFN, edit func([]byte)) {
	g.Helper()
	m, err := g.h.MapForeign(guestID, []abi.GFN{f}, xenctrl.ProtRead|xenctrl.ProtWrite)
	g.must(err)
	g.must(m.With(func(b []byte) error { edit(b); return nil }))
	g.must(m.Close())
}

func (g *guest) shared(edit func([]byte)) {
	info, err := g.h.DomainInfo(guestID)
	g.must(err)
	g.write(info.SharedInfoFrame, edit)
}

// run brings up a vcpu: a PVH one by its context, a PV one by registers.
func (g *guest) run(hvm bool) {
	if hvm {
		rec := func(b []byte, typ uint16, body []byte) []byte {
			b = le.AppendUint32(le.AppendUint16(le.AppendUint16(b, typ), 0), uint32(len(body)))
			return append(b, body...)
		}
		head := make([]byte, 24)
		le.PutUint32(head, 0x54381286)
		le.PutUint32(head[4:], 1)
		b := rec(nil, 1, head)
		b = rec(b, 2, make([]byte, 1032))
		g.must(g.h.SetHVMContext(guestID, rec(b, 0, nil)))
		return
	}
	root := g.frames[7]
	g.write(root, func(b []byte) { clear(b) })
	g.must(g.h.PinTable(guestID, 4, abi.MFN(root)))
	regs := make([]byte, abi.VCPUContextSize)
	le.PutUint64(regs[512:], 0x20)
	le.PutUint64(regs[648:], 0x1234)
	le.PutUint64(regs[4984+3*8:], uint64(root)<<abi.PageShift)
	g.must(g.h.SetVCPUContext(guestID, 0, regs))
}

// dump returns the file, and as an ELF reader sees it.
func (g *guest) dump() (*elf.File, coredump.Result) {
	g.Helper()
	d, err := coredump.Open(g.h, guestID)
	g.must(err)
	var b bytes.Buffer
	r, err := d.Write(g.Context(), &b)
	g.must(err)
	if uint64(b.Len()) != d.Size() {
		g.Errorf("%d bytes, %d announced", b.Len(), d.Size())
	}
	f, err := elf.NewFile(bytes.NewReader(b.Bytes()))
	g.must(err)
	return f, r
}

func section(t testing.TB, f *elf.File, name string) []byte {
	t.Helper()
	s := f.Section(name)
	if s == nil {
		t.Fatalf("no section %s", name)
	}
	b, err := s.Data()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A PVH guest's pages are in the file by their numbers, but for the hole of VGA
// memory and the special pages below 4 GiB, for which zeros stand at the end.
func TestPVH(t *testing.T) {
	g := newGuest(t, true, 0, 1, 2, 0x9f, 0xa5, 0xc0, 0x200, 0xfeff8, 0x100001)
	g.run(true)
	f, r := g.dump()
	if r != (coredump.Result{Missing: 2}) {
		t.Errorf("result %+v", r)
	}
	pages, numbers := section(t, f, ".xen_pages"), section(t, f, ".xen_pfn")
	for i, pfn := range []uint64{0, 1, 2, 0x9f, 0xc0, 0x200, 0x100001, ^uint64(0), ^uint64(0)} {
		if got := le.Uint64(numbers[8*i:]); got != pfn {
			t.Errorf("page %d is pfn %#x, want %#x", i, got, pfn)
		}
		want := make([]byte, abi.PageSize)
		if pfn != ^uint64(0) {
			copy(want, fmt.Sprintf("page %d", pfn))
		}
		if !bytes.Equal(pages[i<<abi.PageShift:][:abi.PageSize], want) {
			t.Errorf("page %d, pfn %#x: %.20q", i, pfn, pages[i<<abi.PageShift:])
		}
	}
	if f.Section(".xen_shared_info") != nil {
		t.Error("there is a shared info section, but the guest has not mapped its page")
	}
	if n := len(section(t, f, ".xen_prstatus")); n != abi.VCPUContextSize {
		t.Errorf("%d bytes of registers, want those of the one vcpu that is up", n)
	}
}

// pvTable gives a PV guest a table of its frames: by the list of lists, or by page
// tables that map it at a virtual address.
func (g *guest) pvTable(byWalk bool, entries map[uint64]uint64) {
	leaf, list, top := g.frames[1], g.frames[2], g.frames[3]
	const vaddr = 0xffffc90000000000
	size := uint64(0)
	g.write(leaf, func(b []byte) {
		for i := range b {
			b[i] = 0xff
		}
		for pfn, f := range entries {
			le.PutUint64(b[8*pfn:], f)
			size = max(size, pfn+1)
		}
	})
	entry := func(f abi.GFN) uint64 { return uint64(f)<<abi.PageShift | 7 }
	if byWalk {
		l1, l2, l3, l4 := g.frames[2], g.frames[3], g.frames[4], g.frames[5]
		g.write(l1, func(b []byte) { le.PutUint64(b, entry(leaf)) })
		g.write(l2, func(b []byte) { le.PutUint64(b, entry(l1)) })
		g.write(l3, func(b []byte) { le.PutUint64(b, entry(l2)) })
		g.write(l4, func(b []byte) { le.PutUint64(b[8*(vaddr>>39&511):], entry(l3)) })
		g.shared(func(b []byte) {
			le.PutUint64(b[3112:], uint64(l4)<<abi.PageShift)
			le.PutUint64(b[3120:], vaddr)
		})
	} else {
		g.write(list, func(b []byte) { le.PutUint64(b, uint64(leaf)) })
		g.write(top, func(b []byte) { le.PutUint64(b, uint64(list)) })
		g.shared(func(b []byte) { le.PutUint64(b[3096:], uint64(top)) })
	}
	g.shared(func(b []byte) { le.PutUint64(b[3088:], size) })
}

// A PV guest's pages are found through its own table; frames that are not its own,
// holes and identity entries are passed over.
func TestPV(t *testing.T) {
	for _, tt := range []struct {
		name   string
		byWalk bool
	}{{"list of lists", false}, {"page tables", true}} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGuest(t, false, 0, 1, 2, 3, 4, 5, 6, 7)
			g.run(false)
			entries := map[uint64]uint64{
				20: 1,              // another's frame
				21: ^uint64(0),     // none
				22: 1<<62 | 22,     // an identity entry
				40: ^uint64(0) - 5, // nonsense
			}
			for pfn, f := range g.frames {
				entries[pfn] = uint64(f)
			}
			delete(entries, 6)
			entries[30] = uint64(g.frames[6])
			g.pvTable(tt.byWalk, entries)
			f, r := g.dump()
			if r != (coredump.Result{}) {
				t.Errorf("result %+v", r)
			}
			numbers, pages := section(t, f, ".xen_p2m"), section(t, f, ".xen_pages")
			for i, pfn := range []uint64{0, 1, 2, 3, 4, 5, 7, 30} {
				if got, frame := le.Uint64(numbers[16*i:]), le.Uint64(numbers[16*i+8:]); got != pfn || frame != entries[pfn] {
					t.Errorf("page %d is pfn %d in frame %#x, want %d in %#x", i, got, frame, pfn, entries[pfn])
				}
			}
			if !bytes.HasPrefix(pages[7<<abi.PageShift:], []byte("page 6\x00")) {
				t.Errorf("pfn 30 holds %.20q", pages[7<<abi.PageShift:])
			}
			if regs := section(t, f, ".xen_prstatus"); le.Uint64(regs[648:]) != 0x1234 {
				t.Error("the registers are not the guest's")
			}
			if b := section(t, f, ".xen_shared_info"); le.Uint64(b[3088:]) != 41 {
				t.Error("the shared info page is not the guest's")
			}
		})
	}
}

// What cannot be dumped is refused before a file is made.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*guest)
		want error // nil: any
	}{
		{"no such domain", func(g *guest) { g.must(g.h.DestroyDomain(g.Context(), guestID)) }, xenctrl.ErrNoDomain},
		{"has not booted", func(*guest) {}, coredump.ErrNoP2M},
		{"no table", func(g *guest) { g.shared(func(b []byte) { le.PutUint64(b[3088:], 8) }) }, coredump.ErrNoP2M},
		{"table of lists forbidden", func(g *guest) {
			g.shared(func(b []byte) { le.PutUint64(b[3088:], 8); le.PutUint64(b[3096:], ^uint64(0)) })
		}, coredump.ErrNoP2M},
		{"absurd size", func(g *guest) { g.shared(func(b []byte) { le.PutUint64(b[3088:], 1<<50) }) }, nil},
		{"table where Xen is", func(g *guest) {
			g.shared(func(b []byte) {
				le.PutUint64(b[3088:], 8)
				le.PutUint64(b[3112:], uint64(g.frames[3])<<12)
				le.PutUint64(b[3120:], 0xffff800000000000)
			})
		}, nil},
		{"hole in the page tables", func(g *guest) {
			g.write(g.frames[3], func(b []byte) { clear(b) })
			g.shared(func(b []byte) {
				le.PutUint64(b[3088:], 8)
				le.PutUint64(b[3112:], uint64(g.frames[3])<<12)
				le.PutUint64(b[3120:], 0xffffc90000000000)
			})
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g := newGuest(t, false, 0, 1, 2, 3, 4, 5, 6, 7)
			g.run(false)
			tt.edit(g)
			_, err := coredump.Open(g.h, guestID)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Open() = %v, want %v", err, tt.want)
			}
		})
	}
}

// No vcpu that was ever up: nothing to show.
func TestNoRegisters(t *testing.T) {
	g := newGuest(t, true, 0)
	if _, err := coredump.Open(g.h, guestID); err == nil {
		t.Error("a guest without registers can be dumped")
	}
}

type failing struct{ after int }

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errors.New("disk full")
	}
	return len(p), nil
}

// Writing stops with the first error, and with the context.
func TestWriteFails(t *testing.T) {
	g := newGuest(t, true, 0, 1, 2, 3)
	g.run(true)
	d, err := coredump.Open(g.h, guestID)
	g.must(err)
	for after := 0; after < int(d.Size()); after += 1000 {
		if _, err := d.Write(t.Context(), &failing{after}); err == nil || err.Error() != "disk full" {
			t.Fatalf("error after %d bytes: %v", after, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Write(ctx, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Write with an ended context: %v", err)
	}
}

// Whatever a PV guest writes into its shared info and its tables: no crash, and if
// there is a file, it has the announced size.
func FuzzPV(f *testing.F) {
	f.Add(uint64(8), uint64(3), uint64(0), uint64(0), []byte{2, 0, 0, 0, 0, 0, 0, 0})
	f.Add(uint64(600), uint64(0), uint64(3)<<12, uint64(0xffffc90000000000), []byte{7, 0x20, 0, 0, 0, 0, 0, 0})
	f.Add(uint64(1<<27), uint64(0), uint64(3)<<12, uint64(0x7fffffffe000), []byte{0xff})
	f.Fuzz(func(t *testing.T, size, list, cr3, vaddr uint64, fill []byte) {
		if size > 1<<22 {
			size %= 1 << 22 // longer walks find nothing else, only later
		}
		g := newGuest(t, false, 0, 1, 2, 3, 4, 5, 6, 7)
		g.run(false)
		// Small numbers name the guest's own frames, so that walks get somewhere.
		frame := func(n uint64) uint64 {
			if own, ok := g.frames[n]; ok {
				return uint64(own)
			}
			return n
		}
		for pfn := range uint64(7) {
			g.write(g.frames[pfn], func(b []byte) {
				for i := 0; len(fill) > 0 && i < len(b); i += 8 {
					x := uint64(fill[(i/8+int(pfn))%len(fill)])
					le.PutUint64(b[i:], frame(x&7)<<(x>>3&12)|x&7)
				}
			})
		}
		g.shared(func(b []byte) {
			le.PutUint64(b[3088:], size)
			le.PutUint64(b[3096:], frame(list))
			le.PutUint64(b[3112:], frame(cr3>>12)<<12)
			le.PutUint64(b[3120:], vaddr)
		})
		d, err := coredump.Open(g.h, guestID)
		if err != nil {
			return
		}
		var out bytes.Buffer
		if _, err := d.Write(t.Context(), &out); err == nil && uint64(out.Len()) != d.Size() {
			t.Errorf("%d bytes, %d announced", out.Len(), d.Size())
		}
	})
}
