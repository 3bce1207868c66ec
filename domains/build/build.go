package build

import (
	"context"
	"errors"
	"fmt"

	"goxl/domains/logs"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// builder is one run: the domain, what is wanted, what came about.
type builder struct {
	guest
	p   *Params
	log *logs.Logger
	res Result
}

// plan is how one kind of guest is built. The kernel was judged and everything
// has its place before the domain is touched.
type plan interface {
	// populate gives the domain its memory.
	populate(ctx context.Context) error
	// load fills it.
	load(ctx context.Context) error
	// start sets what the first vcpu runs.
	start(ctx context.Context) error
	// rings returns the frames of the xenstore and console rings.
	rings() (store, console abi.GFN)
}

// Run builds guest dom, which exists and is paused, has no memory yet, and stays
// paused. It blocks for as long as it takes to copy kernel and ramdisk; between
// batches it looks at ctx. When it fails, the domain is half built: the caller
// destroys it. Nothing of the guest stays mapped either way.
//
// With params.Source the guest is not started from a kernel but goes on from where
// it was saved; the Source then has the last word on its CPU policy.
//
// A kernel that cannot run as this kind of guest matches image.ErrFormat, memory
// that is too small for it ErrTooSmall, a host without enough xenctrl.ErrNoMemory.
func Run(ctx context.Context, h *xenctrl.Handle, dom abi.DomID, params Params) (*Result, error) {
	b := &builder{guest: guest{h: h, dom: dom}, p: &params, log: params.Log}
	if err := params.complete(h.Version()); err != nil {
		return nil, fmt.Errorf("build domain %d: %w", dom, err)
	}
	pl, err := b.plan()
	if err != nil {
		return nil, fmt.Errorf("build domain %d: %w", dom, err)
	}
	for _, step := range []func(context.Context) error{
		b.setLimits, b.allocatePorts, b.setPlatform, b.setCPUPolicy,
		pl.populate, pl.load, pl.start,
	} {
		if err := errors.Join(context.Cause(ctx), ctx.Err()); err != nil {
			return nil, fmt.Errorf("build domain %d: %w", dom, err)
		}
		if err := step(ctx); err != nil {
			return nil, fmt.Errorf("build domain %d: %w", dom, err)
		}
	}
	b.res.Store.Frame, b.res.Console.Frame = pl.rings()
	if err := b.seedGrants(ctx); err != nil {
		return nil, fmt.Errorf("build domain %d: %w", dom, err)
	}
	return &b.res, nil
}

func (b *builder) plan() (plan, error) {
	if b.p.Source != nil {
		return &restorePlan{builder: b}, nil
	}
	switch b.p.Kind {
	case PV:
		return b.planPV()
	case PVH:
		return b.planPVH()
	}
	return nil, fmt.Errorf("%v: %w", b.p.Kind, errors.ErrUnsupported)
}

// supports reports an error unless the running Xen lists a kind of guest.
func (b *builder) supports(kind string) error {
	caps, err := b.h.Capabilities()
	if err != nil {
		return err
	}
	if !hasWord(caps, kind) {
		return &KindError{Kind: kind, Has: caps}
	}
	return nil
}
