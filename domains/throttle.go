package domains

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"goxl/domains/config"
	"goxl/domains/host"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// Throttle is a guest that gets less processor time for a while, by the cap of its
// scheduler. What it had before stands in a file that is locked by us, so that another
// process can give it back when this one is killed: EndThrottles.
type Throttle struct {
	m     *Manager
	id    abi.DomID
	vcpus int
	was   int // the cap, in percent of one CPU; 0: none
	lock  *host.Lock
}

// throttled is what the file says.
type throttled struct {
	UUID string `json:"uuid"` // else the number may be another guest's by now
	Cap  int    `json:"cap"`
}

// Throttle prepares to slow guest id down, and changes nothing yet. It matches
// errors.ErrUnsupported when the guest's scheduler has no caps; one that somebody else
// slows down is an error. End has to be called.
func (m *Manager) Throttle(ctx context.Context, id abi.DomID) (*Throttle, error) {
	d, err := m.info(id)
	if err != nil {
		return nil, err
	}
	p, sched, err := m.schedParams(id)
	if err != nil {
		return nil, err
	}
	op := fmt.Sprintf("slow domain %d down", id)
	if sched != abi.SchedCredit && sched != abi.SchedCredit2 {
		return nil, fmt.Errorf("%s: the scheduler %s has no cap: %w", op, schedulerOf(sched), errors.ErrUnsupported)
	}
	t := &Throttle{m: m, id: id, vcpus: int(d.MaxVCPU) + 1, was: int(p.Cap)}
	if err := t.note(ctx, throttled{d.UUID.String(), t.was}); err != nil {
		return nil, fmt.Errorf("%s: note what it had: %w", op, err)
	}
	return t, nil
}

// note writes the file. An older one is that of a process that was killed: what it
// says is what the guest had.
func (t *Throttle) note(ctx context.Context, n throttled) error {
	if err := t.m.EndThrottles(ctx, nil); err != nil {
		return err
	}
	dir := t.m.throttles()
	if err := t.m.host.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(dir, strconv.Itoa(int(t.id)))
	if _, err := t.m.host.Stat(path); err == nil {
		return errors.New("another process does so")
	}
	lock, err := t.m.host.Lock(ctx, path)
	if err != nil {
		return err
	}
	b, err := json.Marshal(n)
	if err == nil {
		err = lock.Append(b)
	}
	if err != nil {
		return errors.Join(err, lock.Unlock())
	}
	t.lock = lock
	return nil
}

func (m *Manager) throttles() string { return filepath.Join(m.paths.Own, "throttled") }

// Keep leaves the guest so many percent, 1 to 100, of the time that it may have.
func (t *Throttle) Keep(percent int) error {
	most := t.vcpus * 100
	if t.was > 0 {
		most = t.was
	}
	return t.set(max(1, most*percent/100))
}

func (t *Throttle) set(cap int) error {
	return t.m.setSched(t.id, t.vcpus, config.SchedParams{Cap: config.Some(cap)})
}

// End gives the guest back what it had. One that is gone needs nothing. When it fails
// the file stays.
func (t *Throttle) End() error {
	if err := t.set(t.was); err != nil && !errors.Is(err, NoDomain) && !errors.Is(err, xenctrl.ErrNoDomain) {
		return errors.Join(fmt.Errorf("domain %d stays slow, give it its cap of %d back: %w", t.id, t.was, err), t.lock.Leave())
	}
	return t.lock.Unlock()
}

// EndThrottles gives those guests back what they had that a killed process has slowed
// down. Said, if not nil, is told of each.
func (m *Manager) EndThrottles(ctx context.Context, said func(id abi.DomID)) error {
	files, err := os.ReadDir(m.throttles())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	errs := []error{err}
	for _, f := range files {
		id, err := strconv.ParseUint(f.Name(), 10, 16)
		if err != nil {
			continue // none of ours
		}
		errs = append(errs, m.endThrottle(abi.DomID(id), filepath.Join(m.throttles(), f.Name()), said))
	}
	return errors.Join(errs...)
}

func (m *Manager) endThrottle(id abi.DomID, path string, said func(id abi.DomID)) error {
	lock, err := m.host.TryLock(path)
	if errors.Is(err, host.ErrHeld) || errors.Is(err, fs.ErrNotExist) {
		return nil // it is at work, or has just ended
	}
	if err != nil {
		return err
	}
	b, err := m.host.ReadFile(path)
	if err != nil {
		return errors.Join(err, lock.Leave())
	}
	var n throttled
	d, gone := m.info(id)
	if json.Unmarshal(b, &n) != nil || gone != nil || d.UUID.String() != n.UUID {
		return lock.Unlock() // it was killed before it did anything, or the guest is gone
	}
	if said != nil {
		said(id)
	}
	t := &Throttle{m: m, id: id, vcpus: int(d.MaxVCPU) + 1, was: n.Cap, lock: lock}
	return t.End()
}
