package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"goxl/migrate/disks"
	"goxl/migrate/offer"
	"goxl/xenctrl/abi"
)

// consistentAlong refuses options that make no sense together.
func (o *migrating) consistentAlong() error {
	switch {
	case o.overwrite && !o.withDisks:
		return saidf(nil, "--overwrite-disks is of use only with --with-disks")
	case o.withDisks && o.plain:
		return saidf(nil, "--plain and --with-disks exclude each other: the genuine stream has no disks")
	}
	return nil
}

// findAlong finds the disks that go along. Those that cannot are an error, or, for
// --check, findings.
func (a *app) findAlong(ctx context.Context, o *migrating, id abi.DomID) (findings []offer.Finding, err error) {
	if !o.withDisks {
		return nil, nil
	}
	spec := o.override
	if spec == nil {
		if spec, err = a.host.domains.ConfigOf(ctx, id); err != nil {
			return nil, err
		}
	}
	var refusals []*disks.Refusal
	if o.along, refusals = disks.Find(ctx, a.blkbackDir(), id, spec); len(refusals) == 0 {
		return nil, nil
	}
	var errs []error
	for _, r := range refusals {
		findings = append(findings, offer.Finding{About: "disk", Blocks: true, Text: r.Error()})
		errs = append(errs, r)
	}
	if o.check {
		return findings, nil
	}
	return nil, failf(errors.Join(errs...), "Migration not begun: not all disks can go along.")
}

// blkbackDir is the state folder of this host's blkback.
func (a *app) blkbackDir() string { return filepath.Dir(a.host.domains.Host().Blkback) }

// asked is what the receiver is asked of the disks.
func (o *migrating) asked() map[string]offer.Along {
	if !o.withDisks {
		return nil
	}
	all := map[string]offer.Along{}
	for _, d := range o.along {
		all[d.Name] = offer.Along{Size: d.Size, Used: d.Used, Overwrite: o.overwrite}
	}
	return all
}

// genuineAlong says of each disk that a genuine xl does not take it.
func (o *migrating) genuineAlong() (list []offer.Finding) {
	for _, d := range o.along {
		r := disks.Refusal{Name: d.Name, Path: d.Path, Why: "the other side has the genuine xl, which takes no disks"}
		list = append(list, offer.Finding{About: "disk", Blocks: true, Text: r.Error()})
	}
	return list
}

// agreedAlong fails unless the receiver takes disks, if there are any to go along.
func (o *migrating) agreedAlong(answer *offer.Answer) error {
	if len(o.along) == 0 || answer != nil && answer.Speaks(disks.Name) {
		return nil
	}
	var errs []error
	for _, d := range o.along {
		why := "the goxl of the other side is older and takes no disks"
		if answer == nil {
			why = "the other side has the genuine xl, which takes no disks"
		}
		errs = append(errs, &disks.Refusal{Name: d.Name, Path: d.Path, Why: why})
	}
	return failf(errors.Join(errs...), "Migration not begun: not all disks can go along.")
}

// sendingAlong is how the disks are sent.
func (a *app) sendingAlong(o *migrating) *disks.Sender {
	for _, d := range o.along {
		flat := ""
		if d.Flattened {
			flat = ", with what its backing file holds"
		}
		fmt.Fprintf(a.env.stderr, "Disk %s goes along: %s, %s of %d MiB%s\n", d.Name, d.Path, d.Format, d.Size>>20, flat)
	}
	return &disks.Sender{Dir: a.blkbackDir(), Disks: o.along, Overwrite: o.overwrite, Progress: a.disksProgress()}
}

// disksProgress shows how far the disks are.
func (a *app) disksProgress() func(disks.Progress) {
	line := a.progressTo()
	return func(p disks.Progress) {
		line.paint(p.Done >= p.Total, "%s", disksText(p, time.Since(line.start)))
	}
}

// disksText is what is shown of disks that have been on their way so long.
func disksText(p disks.Progress, took time.Duration) string {
	rate := float64(p.Done) / (1 << 20) / max(took.Seconds(), 0.001)
	text := fmt.Sprintf("disks, round %d: %3d %% of %d MiB", p.Round+1, p.Done*100/max(p.Total, 1), p.Total>>20)
	if p.Round > 0 || p.Done <= 0 || p.Done >= p.Total {
		return text
	}
	left := time.Duration(float64(took) / float64(p.Done) * float64(p.Total-p.Done))
	return text + fmt.Sprintf(", %.0f MiB/s, %s left", rate, about(left))
}

// saidAlong says what stays of the disks here once the guest has moved.
func (a *app) saidAlong(o *migrating) {
	for _, d := range o.along {
		fmt.Fprintf(a.env.stderr, "What was disk %s stays here as %s: it is older than the guest from now on.\n", d.Name, d.Path)
	}
}
