package migrate

import (
	"errors"
	"fmt"
	"syscall"

	"goxl/migrate/stream"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// pvhGuest is a guest in a hardware container without a device model. Xen knows
// its pages by the guest's own numbers.
type pvhGuest struct {
	xen *xenctrl.Handle
	id  abi.DomID
	top abi.GFN
	max abi.Pages // that the guest may have
}

func openPVH(xen *xenctrl.Handle, id abi.DomID, max abi.Pages) (*pvhGuest, error) {
	g := &pvhGuest{xen: xen, id: id, max: max}
	return g, g.measure()
}

// mostPages is how many pages of a guest can be saved, as with the genuine tools:
// 1 TiB. A guest chooses its last page itself, by what it maps there, and each
// page up to that costs us a bit. Source: xg_sr_save_x86_hvm.c.
const mostPages = 1 << 28

// measure looks for the guest's last page.
func (g *pvhGuest) measure() (err error) {
	if g.top, err = g.xen.MaximumGPFN(g.id); err != nil {
		return err
	}
	if g.top >= mostPages {
		return fmt.Errorf("the guest has put something at page %#x, and only those below %#x can be saved: %w", uint64(g.top), uint64(mostPages), errors.ErrUnsupported)
	}
	return nil
}

// check fails when the guest has grown: Xen was not asked about the new pages.
func (g *pvhGuest) check() error {
	was := g.top
	if err := g.measure(); err != nil {
		return err
	}
	if g.top > was {
		return fmt.Errorf("the guest has grown from page %#x to %#x meanwhile: try again", uint64(was), uint64(g.top))
	}
	g.top = was
	return nil
}

func (g *pvhGuest) header() stream.GuestType { return stream.GuestHVM }

func (g *pvhGuest) info(*stream.Writer) error { return nil }

func (g *pvhGuest) layout(*stream.Writer) error { return nil }

func (g *pvhGuest) pages() abi.Pages { return abi.Pages(g.top) + 1 }

func (g *pvhGuest) frame(p abi.PFN) (abi.GFN, bool) { return abi.GFN(p), true }

// above4G is the first page behind the hole for devices, where a large guest's
// memory goes on.
const above4G = 1 << 20

// mayAppear holds for the guest's own memory, which a balloon leaves and fills, and
// not for the hole behind it: to look at each of its million pages again takes
// longer than all else while the guest is suspended.
func (g *pvhGuest) mayAppear(p abi.PFN) bool { return abi.Pages(p) < g.max || p >= above4G }

func (g *pvhGuest) outgoing(_ stream.PageType, page, _ []byte) ([]byte, error) { return page, nil }

// movedParams are the parameters that move with a guest, in the order in which
// libxc sends them. Source: xg_sr_save_x86_hvm.c, write_hvm_params.
var movedParams = []uint64{
	abi.ParamStorePFN, abi.ParamIOReqPFN, abi.ParamBufIOReqPFN,
	abi.ParamPagingRingPFN, abi.ParamMonitorRingPFN, abi.ParamSharingRingPFN,
	abi.ParamVM86TSSSized, abi.ParamConsolePFN, abi.ParamACPIIOPorts, abi.ParamViridian,
	abi.ParamIdentPT, abi.ParamVMGenerationIDAddr, abi.ParamIOReqServerPFN,
	abi.ParamNrIOReqServerPages, abi.ParamX87FIPWidth, abi.ParamMCACap,
}

func (g *pvhGuest) state(w *stream.Writer) error {
	ctx, err := g.xen.HVMContext(g.id)
	if err != nil {
		return err
	}
	if err := w.Write(stream.HVMContext(ctx)); err != nil {
		return err
	}
	params, err := g.params()
	if err != nil {
		return err
	}
	return w.Write(params)
}

// params reads the parameters that are set. Those that the running Xen does not
// know are not.
func (g *pvhGuest) params() (stream.HVMParams, error) {
	var list stream.HVMParams
	for _, i := range movedParams {
		v, err := g.xen.HVMParam(g.id, uint32(i))
		switch {
		case errors.Is(err, syscall.EINVAL):
		case err != nil:
			return nil, err
		case v != 0:
			list = append(list, stream.HVMParam{Index: i, Value: v})
		}
	}
	return list, nil
}

func (g *pvhGuest) close() error { return nil }
