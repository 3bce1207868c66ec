package offer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// Ask describes guest id for the other side. Spec is its configuration, or nil for
// the stored one.
func Ask(ctx context.Context, m *domains.Manager, id abi.DomID, spec *config.Spec) (*Question, *config.Spec, error) {
	var err error
	if spec == nil {
		if spec, err = m.ConfigOf(ctx, id); err != nil {
			return nil, nil, err
		}
	}
	policy, err := m.Xen().CPUPolicy(id)
	if err != nil {
		return nil, nil, err
	}
	return &Question{Goxl: Version, Guest: &Guest{
		Config: m.ConfigJSON(spec), Leaves: policy.Leaves, Disks: look(ctx, m, spec, false),
		XenMinor: m.Xen().Version().Minor, Boot: m.Host().BootID(),
	}}, spec, nil
}

// lookLimit is how long the disks may take to show what they are: a network file system
// whose server is gone never answers.
const lookLimit = 10 * time.Second

// look looks at all disks that this host's domain 0 serves from a path, at all of them at
// once. With users it looks, too, what on this host uses them. One that does not answer
// is left to itself: nothing ends a read that the kernel waits for.
func look(ctx context.Context, m *domains.Manager, spec *config.Spec, users bool) map[string]DiskState {
	type result struct {
		name  string
		state DiskState
	}
	seen, results := map[string]DiskState{}, make(chan result, len(spec.Disks))
	for i := range spec.Disks {
		d := &spec.Disks[i]
		if unseen(d) != "" || d.Path.Value() == "" {
			continue
		}
		name, path := d.VDev.Value(), diskPath(d)
		seen[name] = DiskState{Path: path, Error: errSilent.Error()}
		go func() {
			s := lookAt(m, path)
			if users && s.Storage != nil {
				s.users, s.usersErr = m.DiskUsers(ctx, path)
			}
			results <- result{name, s}
		}()
	}
	limit := time.NewTimer(lookLimit)
	defer limit.Stop()
	for range len(seen) {
		select {
		case r := <-results:
			seen[r.name] = r.state
		case <-limit.C:
			return seen
		case <-ctx.Done():
			return seen
		}
	}
	return seen
}

func lookAt(m *domains.Manager, path string) DiskState {
	s, err := m.Host().Storage(path)
	if err != nil {
		return DiskState{Path: path, Error: err.Error()}
	}
	return DiskState{Path: path, Storage: s}
}

// lookAgain is lookAt within the limit.
func lookAgain(m *domains.Manager, path string) DiskState {
	found := make(chan DiskState, 1)
	if err := inTime(func() error { found <- lookAt(m, path); return nil }); err != nil {
		return DiskState{Path: path, Error: err.Error()}
	}
	return <-found
}

// inTime calls f, which may wait for a file system, and stops waiting after the limit.
// F goes on then, and must touch nothing of its caller's.
func inTime(f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	limit := time.NewTimer(lookLimit)
	defer limit.Stop()
	select {
	case err := <-done:
		return err
	case <-limit.C:
		return errSilent
	}
}

// errSilent is a file that does not answer.
var errSilent = errors.New("it does not answer within " + lookLimit.String() + ": is the server gone that it is on?")

// diskPath is where a disk's target is: a name alone is that of a device.
func diskPath(d *config.Disk) string {
	path := d.Path.Value()
	if !strings.HasPrefix(path, "/") {
		path = filepath.Join("/dev", path)
	}
	return path
}

// unseen says why nobody can look at a disk; "" when one can.
func unseen(d *config.Disk) string {
	switch {
	case d.Backend.DomID != 0 || d.Backend.Name.IsSet():
		return "another domain serves it"
	case d.Script.IsSet() && filepath.Base(d.Script.Value()) != "block":
		return fmt.Sprintf("only its script %s knows where it is", d.Script.Value())
	case d.BackendType == config.DiskStandalone:
		return "something outside of the toolstack serves it"
	}
	return ""
}
