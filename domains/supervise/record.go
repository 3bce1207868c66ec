package supervise

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"goxl/domains"
	"goxl/domains/host"
	"goxl/xenctrl/abi"
)

// maxRecord bounds how much we read of one record.
const maxRecord = 32 << 20

// Record is what is kept on disk about a guest that we look after.
type Record struct {
	UUID abi.UUID  `json:"-"` // in the file's name
	ID   abi.DomID `json:"domid"`
	Name string    `json:"name"`
	// Config is the configuration as libxl stores it: what the guest is built
	// from again if the stored one cannot be read when it must be.
	Config []byte `json:"config"`
	// Rebuilding says that the guest ended and is to be built anew from Config.
	Rebuilding bool `json:"rebuilding,omitempty"`
	// Kept is the domain that ended and stays, under the name KeptName, while its
	// guest is built anew beside it; KeptName is empty when it is destroyed.
	Kept     abi.DomID `json:"kept,omitempty"`
	KeptName string    `json:"keptName,omitempty"`
	// Logged says that its log was begun.
	Logged bool `json:"logged,omitempty"`
}

// NewRecord describes guest id, which was just created.
func NewRecord(ctx context.Context, m *domains.Manager, id abi.DomID) (*Record, error) {
	d, err := m.Info(ctx, id)
	if err != nil {
		return nil, err
	}
	spec, err := m.StoredConfig(ctx, id)
	if err != nil {
		return nil, err
	}
	return &Record{UUID: d.UUID, ID: id, Name: d.Name, Config: m.ConfigJSON(spec)}, nil
}

// records is the directory that holds them.
type records struct {
	host *host.Host
	dir  string
}

func recordsIn(h *host.Host, dir string) records { return records{h, filepath.Join(dir, "guests")} }

func (r records) path(u abi.UUID) string { return filepath.Join(r.dir, u.String()+".json") }

// save writes rec so that after a crash either the old or the new one is there.
func (r records) save(rec *Record) error {
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	if err := r.host.MkdirAll(r.dir, 0o700); err != nil {
		return err
	}
	next := filepath.Join(r.dir, ".new-"+rand.Text())
	if err = r.host.WriteFile(next, data, 0o600); err == nil {
		err = r.host.Rename(next, r.path(rec.UUID))
	}
	if err != nil {
		r.host.Remove(next)
		return fmt.Errorf("save record of %s: %w", rec.Name, err)
	}
	return nil
}

func (r records) remove(u abi.UUID) error {
	err := r.host.Remove(r.path(u))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// load returns the records but those of guests that are known already, which are not
// even read: with many guests that is most of them each time. A file that makes no
// sense is an error beside the others, which are returned.
func (r records) load(known func(abi.UUID) bool) ([]*Record, error) {
	names, err := r.host.ReadDir(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []*Record
	var errs []error
	for _, file := range names {
		name, ok := strings.CutSuffix(file, ".json")
		if !ok || strings.HasPrefix(name, ".") {
			continue
		}
		u, ok := abi.ParseUUID(name)
		if !ok || u.String() != name { // of another spelling, its record would be another file
			errs = append(errs, fmt.Errorf("record %s: %q is no uuid", file, name))
			continue
		}
		if known(u) {
			continue
		}
		rec, err := r.read(u)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("record %s: %w", file, err))
			continue
		}
		list = append(list, rec)
	}
	return list, errors.Join(errs...)
}

func (r records) read(u abi.UUID) (*Record, error) {
	path := r.path(u)
	fi, err := r.host.Stat(path)
	if err != nil {
		return nil, err
	}
	if fi.Size() > maxRecord {
		return nil, fmt.Errorf("%d bytes are too many", fi.Size())
	}
	data, err := r.host.ReadFile(path)
	if err != nil {
		return nil, err
	}
	rec := &Record{UUID: u}
	return rec, json.Unmarshal(data, rec)
}
