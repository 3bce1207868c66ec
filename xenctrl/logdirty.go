package xenctrl

import "goxl/xenctrl/abi"

// DirtyStats are counts since the bitmap was last cleaned.
type DirtyStats struct {
	Pages  uint64 // bits that were written
	Faults uint32
	Dirty  uint32
}

// shadowOp makes a shadow_op without a bitmap.
func (h *Handle) shadowOp(op string, id DomID, s abi.ShadowOp) (abi.ShadowOp, error) {
	c, err := h.begin(0)
	if err != nil {
		return abi.ShadowOp{}, &OpError{op, id, err}
	}
	defer c.end()
	abi.AppendShadowOp(c.domArg(), s)
	_, b, err := c.domctl(op, abi.DomctlShadowOp, id)
	if err != nil {
		return abi.ShadowOp{}, err
	}
	return abi.ParseShadowOp(b), nil
}

// EnableLogDirty makes Xen note which pages of domain id are written.
func (h *Handle) EnableLogDirty(id DomID) error {
	_, err := h.shadowOp("enable log-dirty", id, abi.ShadowOp{Op: abi.ShadowLogDirty})
	return err
}

// DisableLogDirty ends it.
func (h *Handle) DisableLogDirty(id DomID) error {
	_, err := h.shadowOp("disable log-dirty", id, abi.ShadowOp{Op: abi.ShadowOff})
	return err
}

// PeekDirty returns the counts and leaves the bitmap as it is.
func (h *Handle) PeekDirty(id DomID) (DirtyStats, error) {
	s, err := h.shadowOp("peek at dirty pages", id, abi.ShadowOp{Op: abi.ShadowPeek})
	return DirtyStats{s.Pages, s.Faults, s.Dirty}, err
}

// CleanDirty copies the bitmap of written pages, one bit each from pfn 0 on, to
// bitmap and starts a new one. Final says that the domain does not run any more.
func (h *Handle) CleanDirty(id DomID, bitmap []byte, final bool) (DirtyStats, error) {
	const op = "clean dirty pages"
	c, err := h.begin(len(bitmap))
	if err != nil {
		return DirtyStats{}, &OpError{op, id, err}
	}
	defer c.end()
	s := abi.ShadowOp{Op: abi.ShadowClean, Bitmap: c.addr(0), Pages: uint64(len(bitmap)) * 8}
	if final {
		s.Mode = abi.ShadowFinal
	}
	abi.AppendShadowOp(c.domArg(), s)
	_, b, err := c.domctl(op, abi.DomctlShadowOp, id)
	if err != nil {
		return DirtyStats{}, err
	}
	copy(bitmap, c.data())
	s = abi.ParseShadowOp(b)
	return DirtyStats{s.Pages, s.Faults, s.Dirty}, nil
}

// PageTypes replaces each frame number by its type word (abi.FrameL4Tab |
// abi.FramePinned, abi.FrameInvalid, …). It goes in batches of 1024.
func (h *Handle) PageTypes(id DomID, frames []uint64) error {
	const op = "get page types"
	for len(frames) > 0 {
		batch := frames[:min(len(frames), abi.MaxPageFrameInfo)]
		c, err := h.begin(8 * len(batch))
		if err != nil {
			return &OpError{op, id, err}
		}
		put64s(c.data(), batch)
		abi.AppendPageFrameInfo(c.domArg(), uint64(len(batch)), c.addr(0))
		_, _, err = c.domctl(op, abi.DomctlGetPageFrameInfo3, id)
		get64s(batch, c.data())
		c.end()
		if err != nil {
			return err
		}
		frames = frames[len(batch):]
	}
	return nil
}
