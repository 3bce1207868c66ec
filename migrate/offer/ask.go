package offer

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

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
		Config: m.ConfigJSON(spec), Leaves: policy.Leaves, Disks: look(m, spec),
		XenMinor: m.Xen().Version().Minor, Boot: m.Host().BootID(),
	}}, spec, nil
}

// look looks at all disks that this host's domain 0 serves from a path.
func look(m *domains.Manager, spec *config.Spec) map[string]DiskState {
	seen := map[string]DiskState{}
	for i := range spec.Disks {
		d := &spec.Disks[i]
		if unseen(d) != "" || d.Path.Value() == "" {
			continue
		}
		seen[d.VDev.Value()] = lookAt(m, diskPath(d))
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
