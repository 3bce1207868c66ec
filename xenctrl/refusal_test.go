package xenctrl_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

// refusal is a call that Xen refuses. The same table runs on the in-memory Xen
// and on real ones, so that the former stays honest.
type refusal struct {
	name string
	call func(h *xenctrl.Handle, f fixture) error
	want error
	from int // first release that refuses so, 14 to 22
}

// fixture is a PV and a PVH domain (0 where the host cannot), both with two
// vcpus, the PV one with a page at pfn 0.
type fixture struct {
	pv, pvh xenctrl.DomID
	page    xenctrl.MFN
}

// none is a domain that does not exist.
const none = 0x7fe0

func creating(edit func(d *xenctrl.CreateDomain)) func(*xenctrl.Handle, fixture) error {
	return func(h *xenctrl.Handle, _ fixture) error {
		d := xenctrl.CreateDomain{MaxVCPUs: 1, MaxEvtchnPort: 1023, MaxGrantFrames: -1, MaxMaptrackFrames: -1}
		edit(&d)
		id, err := h.CreateDomain(&d)
		if err == nil {
			err = errors.Join(errors.New("a domain was created"), h.DestroyDomain(context.Background(), id))
		}
		return err
	}
}

// count makes an error of how many extents were done.
func count(n int, err error) error {
	if err == nil && n == 0 {
		return errNone
	}
	return err
}

var errNone = errors.New("none was done")

// refuse runs the table. The fixture's domains are the caller's to destroy.
func refuse(t *testing.T, h *xenctrl.Handle, f fixture) {
	t.Helper()
	for _, r := range refusals() {
		if !h.Version().AtLeast(4, r.from) || f.pvh == 0 && r.pvh() {
			continue
		}
		if err := r.call(h, f); !errors.Is(err, r.want) {
			t.Errorf("%s: %v, want %v", r.name, err, r.want)
		}
	}
}

// pvh reports whether the call needs a PVH domain: it has none in f.
func (r refusal) pvh() bool { return strings.Contains(r.name, "PVH") }

func TestRefusals(t *testing.T) {
	onEveryRelease(t, func(t *testing.T, m *xentest.Machine) {
		h := m.Handle()
		f := fixture{pv: 1, pvh: 2}
		for _, flags := range []uint32{0, abi.CreateHVM | abi.CreateHAP} {
			emu := uint32(0)
			if flags != 0 {
				emu = abi.EmuPVH
			}
			id, err := h.CreateDomain(&xenctrl.CreateDomain{
				MaxVCPUs: 2, Flags: flags, EmulationFlags: emu, MaxEvtchnPort: 1023, MaxGrantFrames: -1, MaxMaptrackFrames: -1,
			})
			check(t, err)
			check(t, h.SetMaxVCPUs(id, 2))
			check(t, h.SetMaxMem(id, 16<<10))
		}
		f.page = onePage(t, h, f.pv)
		refuse(t, h, f)
	})
}

func onePage(t *testing.T, h *xenctrl.Handle, id xenctrl.DomID) xenctrl.MFN {
	t.Helper()
	mfn := make([]xenctrl.MFN, 1)
	if n, err := h.Populate(context.Background(), id, []xenctrl.PFN{0}, 0, 0, mfn); n != 1 {
		t.Fatalf("no memory: %v", err)
	}
	return mfn[0]
}
