package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"goxl/domains/config"
	"goxl/migrate"
	"goxl/migrate/savefile"
	"goxl/migrate/stream"
	"goxl/xenctrl/abi"
)

// saving is what the command line of "xl save" asks for.
type saving struct {
	running bool // -c: the guest goes on
	paused  bool // -p: it goes on, paused
	keepID  bool // -D

	compress bool // --compress: smaller, and for goxl only
}

const compressLetter = ownLetter

// saveCommand is "xl save [options] <Domain> <CheckpointFile> [<ConfigFile>]".
func saveCommand(a *app) *command {
	s := &saving{}
	return a.new("save", body{
		table: optionTable{"cpD", []longOption{{"compress", false, compressLetter}}},
		min:   2,
		opt: func(letter byte, _ string) error {
			switch letter {
			case 'c':
				s.running = true
			case 'p':
				s.paused = true
			case 'D':
				s.keepID = true
			case compressLetter:
				s.compress = true
			}
			return nil
		},
		run: func(ctx context.Context, args []string) error {
			if len(args) > 3 {
				a.out.WriteString(helpCommand(a.release, "save"))
				return exitStatus(1)
			}
			return a.save(ctx, s, args)
		},
	})
}

func (a *app) save(ctx context.Context, s *saving, args []string) error {
	id, err := a.domain(ctx, args[0])
	if err != nil {
		return err
	}
	o := migrate.SaveOptions{KeepDomID: s.keepID}
	if len(args) == 3 {
		if o.Config, err = a.readOverride(args[2]); err != nil {
			return err
		}
	}
	o.Header = func(h *stream.XLHeader) {
		fmt.Fprintf(a.env.stderr, "Saving to %s new xl format (%s)\n", args[1], headerInfo(h, s.compress))
	}
	f, err := createCheckpoint(args[1])
	if err != nil {
		return failf(err, "Failed to open temp file %s for writing", args[1])
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	if err := a.checkpointTo(ctx, f, s, id, o); err != nil {
		return failf(errors.Join(err, f.discard()), "Failed to save domain, resuming domain")
	}
	return a.afterSave(context.WithoutCancel(ctx), s, id)
}

// checkpointTo writes the guest to f and leaves it suspended. On an error it runs on.
func (a *app) checkpointTo(ctx context.Context, f *checkpoint, s *saving, id abi.DomID, o migrate.SaveOptions) error {
	m := a.host.domains
	d, err := m.Info(ctx, id)
	if err != nil {
		return err
	}
	short, err := f.shortOf(d.Current)
	switch {
	case err != nil:
		return err
	case short != nil && !s.compress:
		return short
	case short != nil:
		fmt.Fprintf(a.env.stderr, "warning: %v, unless it packs well; if it does not fit, the guest runs on\n", short)
	}
	out, size := f.writer(), abi.Pages(0)
	line := a.progressTo()
	o.Progress = func(p migrate.Progress) {
		size = p.Total
		line.saving(p)
	}
	o.Finish = func(ctx context.Context) error {
		line.paint(false, "100 %% of %d MiB, to the disk", size>>8)
		return f.commit(ctx)
	}
	if s.compress {
		packed := savefile.NewWriter(out)
		out, o.Finish = packed, func(ctx context.Context) error {
			if err := packed.Close(); err != nil {
				return err
			}
			line.paint(false, "100 %% of %d MiB, packed to %d, to the disk", size>>8, packed.Written()>>20)
			return f.commit(ctx)
		}
	}
	defer f.interruptedBy(ctx)()
	err = migrate.Save(ctx, m, id, out, o)
	line.end()
	return err
}

// afterSave does with the suspended guest what was asked for.
func (a *app) afterSave(ctx context.Context, s *saving, id abi.DomID) error {
	m := a.host.domains
	if !s.running && !s.paused {
		return m.Destroy(ctx, id)
	}
	if s.paused {
		if err := m.Pause(ctx, id); err != nil {
			return err
		}
	}
	return m.Resume(ctx, id)
}

// readOverride reads a configuration that goes along instead of the stored one.
func (a *app) readOverride(file string) (*config.Spec, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, failf(err, "unable to read overridden config file")
	}
	return a.parseConfig(file, text, nil, false)
}

// headerInfo is how xl shows what a header says of itself.
func headerInfo(h *stream.XLHeader, compressed bool) string {
	mandatory := uint32(2)
	if len(h.Config) > 0 {
		mandatory |= 1
	}
	if compressed {
		mandatory |= savefile.FlagPacked
	}
	return fmt.Sprintf("info 0x%x/0x%x/%d", mandatory, h.OptionalFlags, 4+len(h.Config)+len(h.Extra))
}
