package migrate

import (
	"context"

	"goxl/domains/config"
	"goxl/migrate/disks"
	"goxl/migrate/stream"
)

// sendDisks sends the disks that go along while the guest runs: before everything else,
// since they take longest.
func (s *sender) sendDisks(ctx context.Context) error {
	if s.disks == nil {
		return nil
	}
	defer s.countDisks()
	if err := s.disks.Open(ctx); err != nil {
		return err
	}
	if s.packed != nil {
		if err := s.packed.Flush(); err != nil { // the receiver may have something against them
			return err
		}
	}
	return s.disks.Converge(ctx)
}

// moreOfDisks is another round of what the guest has written to its disks.
func (s *sender) moreOfDisks(ctx context.Context) error {
	if s.disks == nil {
		return nil
	}
	defer s.countDisks()
	return s.disks.Round(ctx)
}

// disksBehind reports whether so much was written that the guest should not be suspended.
func (s *sender) disksBehind(ctx context.Context) (bool, error) {
	if s.disks == nil {
		return false, nil
	}
	return s.disks.Behind(ctx)
}

// lastOfDisks sends what is left of the disks, and their checksums. The guest is suspended.
func (s *sender) lastOfDisks(ctx context.Context) error {
	if s.disks == nil {
		return nil
	}
	defer s.countDisks()
	return s.disks.Finish(ctx)
}

func (s *sender) countDisks() {
	s.time.Disks, s.time.DiskRest = s.disks.Rounds, s.disks.Rest
}

// targets are where the disks of a guest that comes belong.
func targets(s *config.Spec) map[string]disks.Target {
	all := map[string]disks.Target{}
	for i := range s.Disks {
		d := &s.Disks[i]
		if d.Path.Value() == "" {
			continue
		}
		format := "raw"
		if d.Format == config.FormatQCOW2 {
			format = "qcow2"
		} else if d.Format != config.FormatRaw && d.Format != config.FormatUnknown {
			format = d.Format.String()
		}
		all[d.VDev.Value()] = disks.Target{Path: d.Path.Value(), Format: format}
	}
	return all
}

// takeDisks reads what comes of the disks before anything is made of the guest.
func (in *Incoming) takeDisks(ctx context.Context) error {
	in.disks = &disks.Receiver{Targets: targets(in.Spec)}
	for {
		rec, err := in.r.Next()
		if err != nil {
			return err
		}
		ours, err := in.disks.Take(ctx, rec.Body)
		if err != nil {
			return err
		}
		if _, ok := rec.Body.(*stream.LibxlHeader); !ok && !ours {
			in.next = &rec // LIBXC_CONTEXT, which has nothing that the next record could overwrite
			break
		}
		in.report()
	}
	if !in.disks.Any() {
		return nil
	}
	// There is no file under a disk's name until it is whole, and only of one that a
	// program serves none is looked for.
	for i := range in.Spec.Disks {
		if d := &in.Spec.Disks[i]; d.Path.Value() != "" && d.BackendType == config.DiskBackendUnknown {
			d.BackendType = config.DiskQDisk
		}
	}
	return nil
}

// record is the next record.
func (in *Incoming) record() (rec stream.Record, err error) {
	if in.next != nil {
		rec, in.next = *in.next, nil
		return rec, nil
	}
	return in.r.Next()
}

func (in *Incoming) report() {
	if in.Progress != nil {
		in.Progress(in.r.Offset())
	}
}

// publish has the disks where the guest's devices look for them.
func (in *Incoming) publish() error {
	if in.disks == nil {
		return nil
	}
	return in.disks.Publish()
}
