package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/migrate"
	"goxl/migrate/stream"
	"goxl/xenctrl/abi"
)

// saving is what the command line of "xl save" asks for.
type saving struct {
	running bool // -c: the guest goes on
	paused  bool // -p: it goes on, paused
	keepID  bool // -D
}

// saveCommand is "xl save [options] <Domain> <CheckpointFile> [<ConfigFile>]".
func saveCommand(a *app) *cli.Command {
	s := &saving{}
	return a.new("save", body{
		table: optionTable{letters: "cpD"},
		min:   2,
		opt: func(letter byte, _ string) error {
			switch letter {
			case 'c':
				s.running = true
			case 'p':
				s.paused = true
			case 'D':
				s.keepID = true
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
		fmt.Fprintf(a.env.stderr, "Saving to %s new xl format (%s)\n", args[1], headerInfo(h))
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	m := a.host.domains
	o.Progress = a.transferProgress()
	f, err := createCheckpoint(args[1])
	if err != nil {
		return failf(err, "Failed to open temp file %s for writing", args[1])
	}
	err = checkSpace(f.File, m, id)
	if err == nil {
		err = migrate.Save(ctx, m, id, f, o)
	}
	if err == nil {
		if err = f.commit(); err != nil {
			err = errors.Join(err, m.Resume(context.WithoutCancel(ctx), id))
		}
	}
	if err != nil {
		return failf(errors.Join(err, f.discard()), "Failed to save domain, resuming domain")
	}
	return a.afterSave(context.WithoutCancel(ctx), s, id)
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
func headerInfo(h *stream.XLHeader) string {
	mandatory := 2
	if len(h.Config) > 0 {
		mandatory |= 1
	}
	return fmt.Sprintf("info 0x%x/0x%x/%d", mandatory, h.OptionalFlags, 4+len(h.Config)+len(h.Extra))
}

// checkpoint is a save file in the making. What is a regular file in the end
// appears under its name only when it is whole and on the disk.
type checkpoint struct {
	*os.File
	name string // of the file in the end; "" when it is written in place
}

// createCheckpoint opens the file. A device or a pipe is written in place.
func createCheckpoint(name string) (*checkpoint, error) {
	if fi, err := os.Stat(name); err == nil && !fi.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
		return &checkpoint{File: f}, err
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(name+".part", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	return &checkpoint{f, name}, err
}

// commit makes the file durable and gives it its name.
func (c *checkpoint) commit() error {
	if c.name == "" {
		return c.Close()
	}
	if err := errors.Join(c.Sync(), c.Close()); err != nil {
		return err
	}
	if err := os.Rename(c.File.Name(), c.name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(c.name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// discard removes what was written.
func (c *checkpoint) discard() error {
	c.Close() // an error does not matter any more, it may be closed
	if c.name == "" {
		return nil
	}
	if err := os.Remove(c.File.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

var _ io.Writer = (*checkpoint)(nil)

// checkSpace fails, with the numbers, before the guest is disturbed when a file
// system has no room for it.
func checkSpace(f *os.File, m *domains.Manager, id abi.DomID) error {
	var fs unix.Statfs_t
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() || unix.Fstatfs(int(f.Fd()), &fs) != nil {
		return err
	}
	d, err := m.Info(context.Background(), id)
	if err != nil {
		return err
	}
	free := fs.Bavail * uint64(fs.Bsize) >> 10
	if need := uint64(d.Current) + 4096; free < need {
		return fmt.Errorf("%s: %d KiB are free on that file system, and the guest needs about %d KiB", f.Name(), free, need)
	}
	return nil
}
