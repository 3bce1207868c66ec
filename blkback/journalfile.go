package blkback

import (
	"errors"
	"fmt"
	"os"
)

// journal is a mapped file. On a tmpfs, such as /run, it costs memory only.
type journal struct {
	path string
	mem  []byte
	*params
}

// createJournal makes a journal in place of any that is there.
func createJournal(path string, p *params) (_ *journal, err error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("make journal: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make journal: %w", err)
	}
	defer f.Close()
	j := &journal{path: path, params: p}
	// Allocate now: a full file system must not become a SIGBUS later.
	if err := reserve(f, p.size()); err != nil {
		return nil, fmt.Errorf("make journal %s: %w", path, errors.Join(err, os.Remove(path)))
	}
	if j.mem, err = mapFile(f, p.size()); err != nil {
		return nil, fmt.Errorf("make journal %s: %w", path, errors.Join(err, os.Remove(path)))
	}
	if err := p.encode(j.mem); err != nil {
		return nil, errors.Join(err, j.remove())
	}
	return j, nil
}

// openJournal maps a journal that an earlier process has left.
func openJournal(path string) (*journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJournal, err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrJournal, err)
	}
	if n := fi.Size(); n < journalHeader || n > 1<<24 {
		return nil, fmt.Errorf("%w: %s has %d bytes", ErrJournal, path, n)
	}
	mem, err := mapFile(f, int(fi.Size()))
	if err != nil {
		return nil, fmt.Errorf("%w: map %s: %w", ErrJournal, path, err)
	}
	p, err := decodeParams(mem)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, errors.Join(err, unmapFile(mem)))
	}
	return &journal{path: path, mem: mem, params: p}, nil
}

// close leaves the journal to the next process. Nothing may use a section any more.
func (j *journal) close() error {
	if j == nil || j.mem == nil {
		return nil
	}
	mem := j.mem
	j.mem = nil
	return unmapFile(mem)
}

// remove ends the journal: nobody waits for its requests.
func (j *journal) remove() error {
	err := os.Remove(j.path)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, j.close())
}
