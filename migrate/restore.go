package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"

	"goxl/domains"
	"goxl/domains/build"
	"goxl/domains/config"
	"goxl/migrate/disks"
	"goxl/migrate/savefile"
	"goxl/migrate/stream"
	"goxl/xenctrl/abi"
)

// Incoming is a saved guest of which the configuration was read and nothing more.
type Incoming struct {
	// Spec is the guest's configuration. It may be changed before Restore: to give
	// the guest another name, say.
	Spec *config.Spec
	// Header is what xl wrote before everything else.
	Header stream.XLHeader
	// Progress, if not nil, is told now and then how many bytes were read. It must
	// not block.
	Progress func(bytes int64)
	// Differing counts the pages of a VERIFY that are not as they were sent before.
	Differing int

	r     *stream.Reader
	plain *savefile.Reader // beneath r
	disks *disks.Receiver  // nil: none may come
	next  *stream.Record   // that was read ahead
	ends  func() error     // makes sure of the end of what is beneath plain; nil: nothing is
}

// Open reads the header and the configuration of a saved guest. The stream is not
// trusted; an error about it is a *stream.Error. It may be compressed, or packed as
// between two of ours.
func Open(r io.Reader) (*Incoming, error) {
	plain, err := savefile.Open(r)
	if err != nil {
		return nil, err
	}
	in := &Incoming{r: stream.NewReader(plain, stream.Options{Outermost: stream.LayerXL}), plain: plain}
	rec, err := in.r.Next()
	if err != nil {
		return nil, err
	}
	h := rec.Body.(*stream.XLHeader)
	in.Header = stream.XLHeader{Config: append([]byte(nil), h.Config...), OptionalFlags: h.OptionalFlags, Extra: append([]byte(nil), h.Extra...)}
	if len(h.Config) == 0 {
		return in, nil
	}
	if in.Spec, err = config.DecodeJSON(h.JSON()); err != nil {
		return nil, fmt.Errorf("the configuration in the saved guest: %w", err)
	}
	return in, nil
}

// Compressed reports whether the file says that it is compressed.
func (in *Incoming) Compressed() bool { return in.plain.Compressed() }

// Restore makes a domain of in.Spec in which the guest goes on, unless o leaves it
// paused. It reads exactly to the end of the stream. On an error nothing is left
// of the domain.
func (in *Incoming) Restore(ctx context.Context, m *domains.Manager, o domains.CreateOptions) (abi.DomID, error) {
	if in.Spec == nil {
		return 0, errors.New("the saved guest has no configuration with it: give one")
	}
	o.Source = in
	return m.Create(ctx, in.Spec, o)
}

// Fill is of build.Source.
func (in *Incoming) Fill(ctx context.Context, t build.Target) (store, console abi.GFN, err error) {
	info, err := t.Xen.DomainInfo(t.Dom)
	if err != nil {
		return 0, 0, err
	}
	f := &filler{in: in, Target: t, most: info.MaxPages, shared: info.SharedInfoFrame}
	f.guest = &pvhImage{filler: f}
	if t.Kind == build.PV {
		f.guest = newPVImage(f)
	}
	for {
		if err := ctx.Err(); err != nil {
			return 0, 0, context.Cause(ctx)
		}
		rec, err := in.record()
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, 0, err
		}
		if err := f.take(ctx, rec.Body); err != nil {
			return 0, 0, fmt.Errorf("record %d (%s) at offset %#x: %w", rec.Index, rec.Body.Type(), rec.Offset, err)
		}
		in.report()
	}
	err = in.plain.Finish()
	if err == nil && in.ends != nil {
		err = in.ends()
	}
	if err == nil {
		err = in.publish()
	}
	return f.store, f.console, err
}

// filler fills one domain.
type filler struct {
	build.Target
	in             *Incoming
	most           abi.Pages // that the domain may have
	shared         abi.GFN   // shared info
	guest          image
	policy         abi.CPUPolicy
	store, console abi.GFN
	page           pageBuffers
}

// image is what differs between the kinds of guests.
type image interface {
	header() stream.GuestType
	// admit refuses pages that there cannot be and notes what they are.
	admit(d *stream.PageData) error
	// present reports whether a page has memory.
	present(p abi.PFN) bool
	// populated notes the pages that got memory; frames are theirs.
	populated(at []abi.PFN, frames []abi.MFN)
	// dropped notes that a page has none any more.
	dropped(p abi.PFN)
	// frame is what Xen knows a page as that has memory.
	frame(p abi.PFN) abi.GFN
	// incoming puts the content of a page of type t to where it belongs.
	incoming(ctx context.Context, t stream.PageType, to, page []byte) error
	// take uses a record that only this kind of guest has.
	take(ctx context.Context, b stream.Body) error
	// finish uses what had to wait until everything was there.
	finish(ctx context.Context) error
}

// take uses one record.
func (f *filler) take(ctx context.Context, b stream.Body) error {
	switch b := b.(type) {
	case *stream.LibxlHeader:
		return nil
	case *stream.LibxcHeader:
		return f.header(b)
	case stream.CPUIDPolicy:
		f.policy.Leaves = append([]abi.CPUIDLeaf(nil), b...)
		return nil
	case stream.MSRPolicy:
		f.policy.MSRs = append([]abi.PolicyMSR(nil), b...)
		return nil
	case *stream.PageData:
		return f.pages(ctx, b)
	case *stream.TSCInfo:
		return f.Xen.SetTSCInfo(f.Dom, abi.TSCInfo{Mode: b.Mode, KHz: b.KHz, ElapsedNS: b.Nsec, Incarnation: b.Incarnation})
	case stream.Mark:
		switch b.Type() {
		case stream.TypeStaticDataEnd:
			return f.setPolicy()
		case stream.TypeEnd:
			return f.guest.finish(ctx)
		}
		return nil // END of libxl, LIBXC_CONTEXT, VERIFY: the Reader sees to their order
	}
	if b.Type().IsOptional() {
		return nil
	}
	if f.in.disks != nil {
		if ours, err := f.in.disks.Take(ctx, b); ours {
			return err
		}
	}
	return f.guest.take(ctx, b)
}

func (f *filler) header(h *stream.LibxcHeader) error {
	if h.Guest != f.guest.header() {
		return fmt.Errorf("memory of a guest of type %s, and the configuration says %s", h.Guest, f.Kind)
	}
	if h.Version < 3 {
		return fmt.Errorf("saved by Xen %d.%d, without the CPU features that the guest is used to: %w (restore it on Xen 4.14 or later with its own xl first)",
			h.XenMajor, h.XenMinor, errors.ErrUnsupported)
	}
	return nil
}

// setPolicy gives the guest the CPU that it is used to.
func (f *filler) setPolicy() error {
	if len(f.policy.Leaves) == 0 && len(f.policy.MSRs) == 0 {
		return nil
	}
	if err := f.Xen.SetCPUPolicy(f.Dom, f.policy); err != nil {
		return fmt.Errorf("this host cannot offer the CPU that the guest is used to: %w", err)
	}
	return nil
}

// unexpected is a record that this kind of guest cannot have.
func unexpected(b stream.Body) error {
	return fmt.Errorf("%s is for another kind of guest: %w", b.Type(), errors.ErrUnsupported)
}
