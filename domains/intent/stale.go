package intent

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"goxl/domains/host"
	"goxl/xenctrl/abi"
)

// maxNote bounds how much we read of one note.
const maxNote = 64 << 10

// Stale returns the notes in dir whose creations have ended. Their locks are the
// caller's now: it ends each note with Done or Leave. What could not be read is
// told in the error, beside the others, which are returned.
func Stale(h *host.Host, dir string) ([]*Note, error) {
	names, err := h.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var notes []*Note
	errs := []error{err}
	for _, name := range names {
		token, ok := abi.ParseUUID(name)
		if !ok {
			continue // not ours
		}
		lock, err := h.TryLock(filepath.Join(dir, name))
		switch {
		case errors.Is(err, host.ErrHeld), errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil:
			n := &Note{Record{Token: token}, lock}
			if err = n.Record.read(lock); err == nil {
				notes = append(notes, n)
				continue
			}
			err = errors.Join(fmt.Errorf("note %s: %w", name, err), lock.Leave())
		}
		errs = append(errs, err)
	}
	return notes, errors.Join(errs...)
}

// read adds what the lines of a note say. A note without a whole line is of a
// creation that had not asked for a domain yet.
func (r *Record) read(from io.Reader) error {
	in := bufio.NewReader(io.LimitReader(from, maxNote))
	for {
		text, err := in.ReadBytes('\n')
		if err == io.EOF {
			return nil // what follows the last newline is half a line
		}
		if err != nil {
			return err
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return err
		}
		if err := r.add(l); err != nil {
			return err
		}
	}
}

func (r *Record) add(l line) error {
	if l.UUID != "" {
		u, ok := abi.ParseUUID(l.UUID)
		if !ok {
			return fmt.Errorf("%.64q is no uuid", l.UUID)
		}
		r.UUID, r.Name, r.Paused, r.PID, r.Start = u, l.Name, l.Paused, l.PID, l.Start
	}
	if l.Dom >= abi.DomFirstReserved {
		return fmt.Errorf("%d is no domain id", l.Dom)
	}
	if l.Dom != 0 {
		r.Dom = l.Dom
	}
	return nil
}
