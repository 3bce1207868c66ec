package domains

import (
	"context"
	"errors"
	"fmt"
	"time"

	"goxl/domains/config"
	"goxl/domains/policy"
	"goxl/domains/undo"
	"goxl/xenctrl/abi"
)

// pace is how often domains that change their size are looked at, and for how long.
type pace struct {
	look     time.Duration // at a guest: Xen tells nobody when a domain gets smaller
	retry    time.Duration // at domain 0
	progress time.Duration // how long one wait for domain 0 lasts without progress
	credit   time.Duration // how long all waits for it may last
}

// usualPace has xl's times for domain 0. Source: xl_vmcontrol.c.
var usualPace = pace{look: 100 * time.Millisecond, retry: 2 * time.Second, progress: 10 * time.Second, credit: 30 * time.Second}

// neededMemory is how much free memory the host must have for a guest with all
// defaults filled in.
func neededMemory(b *config.BuildInfo) abi.KiB {
	return policy.NeedMemory(policy.Memory{Target: b.TargetMem.Value(), Paging: b.ShadowMem.Value(),
		IOMMU: b.IOMMUMem.Value(), Container: b.Type != config.TypePV})
}

// freeMemory is what Xen has to give, including pages that are still scrubbed.
func (m *Manager) freeMemory() (abi.KiB, error) {
	p, err := m.xen.PhysInfo()
	if err != nil {
		return 0, m.hyper(0, "look at the host's memory", err)
	}
	return (p.FreePages + p.ScrubPages).KiB(), nil
}

// makeRoom sees to it that need is free, by making domain 0 smaller, as long as
// that gets somewhere: xl's rules (freemem in xl_vmcontrol.c). U gets how domain 0 has
// its target back, also when it fails: so a guest that is refused costs it nothing. The
// genuine tool leaves it as small as it got.
func (m *Manager) makeRoom(ctx context.Context, u *undo.Stack, name string, need abi.KiB) error {
	smaller := false
	var before, last abi.KiB // targets of domain 0
	credit := m.pace.credit
	for {
		free, err := m.freeMemory()
		if err != nil {
			return err
		}
		if free >= need {
			return nil
		}
		if credit <= 0 {
			return m.shortage(ctx, abi.DomInvalid, name, need, free)
		}
		short := need - free
		err = m.setTarget(ctx, 0, func(current, _ abi.KiB) abi.KiB {
			if !smaller {
				before = current
			}
			last = current - min(current, short)
			return last
		}, false)
		if err != nil {
			if errors.Is(err, OutOfRange) {
				return m.shortage(ctx, abi.DomInvalid, name, need, free)
			}
			return err
		}
		if !smaller {
			smaller = true
			u.Push("make domain 0 smaller", func(ctx context.Context) error { return m.restoreDom0(ctx, last, before) })
		}
		start := time.Now()
		if err := m.waitForDom0(ctx); err != nil {
			if ctx.Err() != nil {
				return fail(Interrupted, 0, "free memory for "+name, context.Cause(ctx))
			}
			return m.shortage(ctx, abi.DomInvalid, name, need, free)
		}
		credit -= time.Since(start).Truncate(time.Second)
	}
}

// restoreDom0 sets domain 0's target to before, unless somebody else has changed it
// from ours in the meantime.
func (m *Manager) restoreDom0(ctx context.Context, ours, before abi.KiB) error {
	return m.setTarget(ctx, 0, func(current, _ abi.KiB) abi.KiB {
		if current != ours {
			return current
		}
		return before
	}, false)
}

var errNoProgress = errors.New("domain 0 does not get smaller")

// waitForDom0 waits until domain 0 is as small as its target, as long as it
// shrinks (libxl_wait_for_memory_target).
func (m *Manager) waitForDom0(ctx context.Context) error {
	target, _, err := m.dom0Memory(ctx)
	if err != nil {
		return err
	}
	patience, last := m.pace.progress, ^abi.KiB(0)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(m.pace.retry):
		}
		d, err := m.info(0)
		if err != nil {
			return err
		}
		now := d.Current + d.Outstanding
		switch {
		case now <= target:
			return nil
		case now > last:
			return errNoProgress
		case now == last:
			patience -= m.pace.retry
		}
		if last = now; patience <= 0 {
			return errNoProgress
		}
	}
}

// shortage is the error for too little memory, with who could give some. Building is
// the domain that it is for, DomInvalid when there is none yet.
func (m *Manager) shortage(ctx context.Context, building abi.DomID, name string, need, free abi.KiB) *Error {
	s := &Shortage{Need: need, Free: free}
	list, err := m.List(ctx)
	if err != nil {
		list = nil // the numbers alone are worth saying
	}
	for _, d := range list {
		if d.ID == building {
			continue
		}
		s.Claimed += d.Outstanding
	}
	for _, d := range list {
		if d.ID == building {
			continue
		}
		least := policy.MinDom0
		if d.ID != 0 {
			least = d.Current / 2 // a guess: no kernel tells how small it can get
		}
		if d.Current <= least+1024 || d.Dying {
			continue
		}
		g := Giver{ID: d.ID, Name: d.Name, Has: d.Current, Spare: d.Current - least}
		give := g.Spare
		if missing := s.Missing(); missing > 0 {
			give = min(give, missing)
		}
		g.Advice = fmt.Sprintf("xl mem-set %d %dm", d.ID, (d.Current-give)/1024)
		s.Givers = append(s.Givers, g)
	}
	return &Error{Kind: NoMemory, Op: "create " + name, Err: s}
}

// whyLeftAlone says why domain 0 is not made smaller for a new guest.
func (m *Manager) whyLeftAlone() string {
	if m.conf.Autoballoon == config.False {
		return `domain 0 is left as it is: xl.conf says autoballoon="off"`
	}
	return `domain 0 is left as it is: Xen was started with dom0_mem=, and xl.conf does not say autoballoon="on"`
}

// autoballoon reports whether domain 0 may be made smaller for a new guest.
func (m *Manager) autoballoon() (bool, error) {
	if m.conf.Autoballoon != config.Default {
		return m.conf.Autoballoon == config.True, nil
	}
	cmd, err := m.xen.CommandLine()
	if err != nil {
		return false, m.hyper(0, "read Xen's command line", err)
	}
	v := m.xen.Version()
	return m.conf.BalloonDom0(cmd, config.Release{Major: v.Major, Minor: v.Minor}), nil
}
