package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/migrate/disks"
	"goxl/migrate/lanes"
	"goxl/migrate/stream"
	"goxl/migrate/transport"
	"goxl/xenctrl/abi"
)

// SaveOptions say how a guest is saved. The zero value suspends it first.
type SaveOptions struct {
	// Live has the guest run while most of its memory is sent.
	Live *Live
	// Packed writes the same bytes through package transport, which only goxl can
	// read.
	Packed bool
	// KeepDomID has a restore ask for the same domain id.
	KeepDomID bool
	// Config replaces the stored configuration in what is saved.
	Config *config.Spec
	// Header, if not nil, is told what stands at the beginning.
	Header func(*stream.XLHeader)
	// Progress, if not nil, is told now and then how far it is. It must not block.
	Progress func(Progress)
	// Notice, if not nil, is told of what a person who watches should know.
	Notice func(text string)
	// Timeline, if not nil, is told where the time went.
	Timeline *Timeline
	// Disks, if not nil, has the disks that it names go along, through the blkback that
	// it names; only goxl can read that. What of it says how they are sent is set here.
	Disks *disks.Sender
	// Finish, if not nil, is called when everything was written, to bring it to safety.
	// When it fails, so does the save, and the guest runs on.
	Finish func(context.Context) error
}

// Progress is how far a transfer of memory is.
type Progress struct {
	Round       int       // 0 is the first, of all the memory
	Done, Total abi.Pages // of this round
	Bytes       int64     // of the stream so far
}

// Save writes guest id to w: the header of xl, the guest's configuration, its
// memory and its state, in the format of the genuine tools. It returns with the
// guest suspended and complete on both sides; the caller destroys it, or lets it
// go on with Resume. On an error the guest runs on as before, unless the error
// says that it died or is ErrNotResumed. It blocks as long as w does; ctx ends it between pieces.
//
// Since Xen 4.14. A guest with vnuma=, a 32-bit PV guest and an HVM guest are
// refused: errors.ErrUnsupported.
func Save(ctx context.Context, m *domains.Manager, id abi.DomID, w io.Writer, o SaveOptions) (err error) {
	op := fmt.Sprintf("save domain %d", id)
	s, err := newSender(ctx, m, id, w, o)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.run(ctx); err != nil {
		return fmt.Errorf("%s: %w", op, s.giveUp(ctx, err))
	}
	return nil
}

// sender is one guest on its way out.
type sender struct {
	m         *domains.Manager
	id        abi.DomID
	opts      SaveOptions
	spec      *config.Spec
	guest     guest
	w         *stream.Writer
	packed    packer // beneath w; nil: nothing is
	time      *Timeline
	disks     *disks.Sender // nil: none goes along
	suspended bool          // by us
	sent      batch
	round     int
}

// packer takes the stream to where it goes in another form.
type packer interface {
	io.Writer
	Flush() error
	Close() error
	Written() int64 // bytes of that form
}

// guest is what differs between the kinds of guests.
type guest interface {
	header() stream.GuestType
	// info is what stands before the policy: the widths of a PV guest.
	info(w *stream.Writer) error
	// layout is what stands before the memory: where a PV guest has its p2m.
	layout(w *stream.Writer) error
	// pages is how many pfns there may be.
	pages() abi.Pages
	// frame is what Xen knows a page as; false: it is not there.
	frame(p abi.PFN) (abi.GFN, bool)
	// mayAppear reports whether memory may come to a page that has none.
	mayAppear(p abi.PFN) bool
	// outgoing returns what is sent of a page of type t, in scratch unless it is
	// page itself. errInFlux: try again later, the guest is changing it.
	outgoing(t stream.PageType, page, scratch []byte) ([]byte, error)
	// check fails when the guest has put somewhere else what was found of it in the
	// beginning. It runs, or not.
	check() error
	// state is what stands after the memory.
	state(w *stream.Writer) error
	close() error
}

func newSender(ctx context.Context, m *domains.Manager, id abi.DomID, w io.Writer, o SaveOptions) (*sender, error) {
	s := &sender{m: m, id: id, opts: o, time: o.Timeline}
	if s.time == nil {
		s.time = new(Timeline)
	}
	if l, ok := w.(*lanes.Sender); ok {
		s.packed = l
	} else if o.Packed {
		packed := transport.NewWriter(w)
		packed.Adapt()
		s.packed = packed
		w = s.packed
	}
	s.w = stream.NewWriter(w, stream.Options{Outermost: stream.LayerXL})
	if s.disks = o.Disks; s.disks != nil {
		s.disks.Write, s.disks.Notice = s.w.Write, o.Notice
	}
	kind, err := m.TypeOf(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.spec = o.Config; s.spec == nil {
		if s.spec, err = m.ConfigOf(ctx, id); err != nil {
			return nil, err
		}
	}
	if err := movable(s.spec); err != nil {
		return nil, err
	}
	switch kind {
	case domains.PV:
		s.guest, err = openPV(m.Xen(), id)
	case domains.PVH:
		s.guest, err = openPVH(m.Xen(), id, s.spec.BInfo.MaxMem.Value().Pages())
	default:
		err = fmt.Errorf("HVM guests: %w", errors.ErrUnsupported)
	}
	return s, err
}

// movable refuses what would be lost.
func movable(s *config.Spec) error {
	switch {
	case len(s.BInfo.VNUMANodes) > 0:
		return fmt.Errorf("a guest with vnuma= cannot be saved: %w", errors.ErrUnsupported)
	case len(s.PCIDevs) > 0:
		return fmt.Errorf("PCI devices cannot be saved, detach them first: %w", errors.ErrUnsupported)
	}
	return nil
}

func (s *sender) close() error {
	if s.disks != nil {
		s.disks.Close()
	}
	return s.guest.close()
}

// run writes the stream from begin to end.
func (s *sender) run(ctx context.Context) error {
	defer s.count()
	for _, step := range []func(context.Context) error{s.heading, s.sendDisks, s.headers, s.memory, s.lastOfDisks, s.state, s.finish} {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// finish writes the end of what is packed and has the caller finish.
func (s *sender) finish(ctx context.Context) error {
	defer elapsed(&s.time.State)()
	if s.packed != nil {
		if err := s.packed.Close(); err != nil {
			return err
		}
	}
	if s.opts.Finish != nil {
		return s.opts.Finish(ctx)
	}
	return nil
}

// count notes how many bytes there were.
func (s *sender) count() {
	s.time.Stream = s.w.Offset()
	s.time.Wire = s.time.Stream
	if s.packed != nil {
		s.time.Wire = s.packed.Written()
	}
	if l, ok := s.packed.(*lanes.Sender); ok {
		s.time.Streams, s.time.Reconnects = l.Lanes(), l.Reconnects()
	}
}

// ErrNotResumed is a guest that was suspended, and could not be resumed after a
// failure.
var ErrNotResumed = errors.New("the guest is suspended and could not be resumed")

// giveUp lets the guest run on after a failure, which it joins with its own.
func (s *sender) giveUp(ctx context.Context, cause error) error {
	if !s.suspended {
		return cause
	}
	s.suspended = false
	if err := s.m.Resume(context.WithoutCancel(ctx), s.id); err != nil {
		return errors.Join(cause, fmt.Errorf("%w: %w", ErrNotResumed, err))
	}
	return cause
}

// suspend stops the guest. One that is suspended already is so for somebody else
// and will stay so.
func (s *sender) suspend(ctx context.Context) error {
	defer elapsed(&s.time.Suspend)()
	d, err := s.m.Info(ctx, s.id)
	if err != nil {
		return err
	}
	if err := s.m.Suspend(ctx, s.id); err != nil {
		return err
	}
	s.suspended = !d.Shutdown
	return s.guest.check()
}

// heading writes what says what the stream is, and whose.
func (s *sender) heading(context.Context) error {
	defer elapsed(&s.time.Headers)()
	if err := s.header(); err != nil {
		return err
	}
	return s.w.Write(&stream.LibxlHeader{})
}

// headers writes what else stands before the memory.
func (s *sender) headers(context.Context) error {
	defer elapsed(&s.time.Headers)()
	v := s.m.Xen().Version()
	policy, err := s.m.Xen().CPUPolicy(s.id)
	if err != nil {
		return err
	}
	for _, write := range []func() error{
		func() error { return s.w.Write(stream.Mark(stream.TypeLibxcContext)) },
		func() error {
			return s.w.Write(&stream.LibxcHeader{Version: 3, Guest: s.guest.header(), XenMajor: uint32(v.Major), XenMinor: uint32(v.Minor)})
		},
		func() error { return s.guest.info(s.w) },
		func() error { return writePolicy(s.w, policy) },
		func() error { return s.guest.layout(s.w) },
	} {
		if err := write(); err != nil {
			return err
		}
	}
	if s.packed != nil {
		return s.packed.Flush() // the receiver makes the domain while the guest is asked to suspend
	}
	return nil
}

func (s *sender) header() error {
	h := &stream.XLHeader{Config: s.config()}
	if s.opts.Header != nil {
		s.opts.Header(h)
	}
	return s.w.Write(h)
}

// config is the configuration as it travels, with the NUL that belongs to it.
func (s *sender) config() []byte {
	spec := *s.spec
	spec.CInfo.DomID = 0
	if s.opts.KeepDomID {
		spec.CInfo.DomID = uint32(s.id)
	}
	return append(s.m.ConfigJSON(&spec), 0)
}

// writePolicy writes what the guest's CPUID and MSRs say; an empty list has no
// record.
func writePolicy(w *stream.Writer, p abi.CPUPolicy) error {
	if len(p.Leaves) > 0 {
		if err := w.Write(stream.CPUIDPolicy(p.Leaves)); err != nil {
			return err
		}
	}
	if len(p.MSRs) > 0 {
		if err := w.Write(stream.MSRPolicy(p.MSRs)); err != nil {
			return err
		}
	}
	return w.Write(stream.Mark(stream.TypeStaticDataEnd))
}

// state writes what stands after the memory. The guest is suspended.
func (s *sender) state(context.Context) error {
	defer elapsed(&s.time.State)()
	tsc, err := s.m.Xen().TSCInfo(s.id)
	if err != nil {
		return err
	}
	for _, write := range []func() error{
		func() error {
			return s.w.Write(&stream.TSCInfo{Mode: tsc.Mode, KHz: tsc.KHz, Nsec: tsc.ElapsedNS, Incarnation: tsc.Incarnation})
		},
		func() error { return s.guest.state(s.w) },
		func() error { return s.w.Write(stream.Mark(stream.TypeEnd)) },
		func() error { return s.w.Write(stream.Mark(stream.TypeLibxlEnd)) },
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}
