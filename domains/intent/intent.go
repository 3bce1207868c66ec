package intent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"goxl/domains/host"
	"goxl/xenctrl/abi"
)

// Record is what is known about a creation.
type Record struct {
	// Token is the handle by which Xen knows the domain until its id is noted
	// here. Nobody else ever uses it. It names the file, too.
	Token  abi.UUID
	UUID   abi.UUID  // of the guest: the domain's handle from then on
	Name   string    // of the guest
	Dom    abi.DomID // 0: not made, or not noted yet
	Paused bool      // the guest is to stay paused
	PID    int       // of the creating process
	Start  uint64    // when that began, in clock ticks since the host's boot
}

// Note is a Record on disk, with its lock held by us. It belongs to one goroutine.
type Note struct {
	Record
	lock *host.Lock
}

// line is one line of a note.
type line struct {
	UUID   string    `json:"uuid,omitempty"`
	Name   string    `json:"name,omitempty"`
	Paused bool      `json:"paused,omitempty"`
	PID    int       `json:"pid,omitempty"`
	Start  uint64    `json:"start,omitempty"`
	Dom    abi.DomID `json:"domid,omitempty"`
}

// Begin notes in dir, which is made if it is missing, that the guest of r is about
// to be made. It fills in PID and Start; Token is fresh.
func Begin(ctx context.Context, h *host.Host, dir string, r Record) (*Note, error) {
	var err error
	r.PID = os.Getpid()
	if r.Start, err = h.ProcessStart(r.PID); err != nil {
		return nil, fmt.Errorf("note the creation: %w", err)
	}
	path := filepath.Join(dir, r.Token.String())
	lock, err := h.Lock(ctx, path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = h.MkdirAll(dir, 0o700); err == nil {
			lock, err = h.Lock(ctx, path)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("note the creation: %w", err)
	}
	n := &Note{r, lock}
	if err := n.add(line{UUID: r.UUID.String(), Name: r.Name, Paused: r.Paused, PID: r.PID, Start: r.Start}); err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	return n, nil
}

// Made notes the id of the domain that Xen made.
func (n *Note) Made(id abi.DomID) error {
	n.Dom = id
	return n.add(line{Dom: id})
}

// Done removes the note: the guest is complete, or nothing is left of it.
func (n *Note) Done() error { return n.lock.Unlock() }

// Leave gives the lock back and leaves the note for whoever cleans up.
func (n *Note) Leave() error { return n.lock.Leave() }

func (n *Note) add(l line) error {
	b, err := json.Marshal(l)
	if err == nil {
		err = n.lock.Append(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("note the creation: %w", err)
	}
	return nil
}
