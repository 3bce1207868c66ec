package device

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"goxl/domains/host"
)

// withLoopsOf runs a hotplug script that may make a loop device for the file target.
// One that fails, or is killed, in the middle may have told nobody of the device that
// it had made; it is freed then.
func (s *Set) withLoopsOf(ctx context.Context, target string, run func() error) error {
	file, before, err := s.loopsOf(target)
	if err != nil || file == (host.FileID{}) {
		return errors.Join(err, run())
	}
	err = run()
	if err == nil {
		return nil
	}
	if e := s.freeUnknown(context.WithoutCancel(ctx), target, before); e != nil {
		return errors.Join(err, fmt.Errorf("a loop device of %s may be left: %w", target, e))
	}
	return err
}

// loopsOf returns the loop devices that show the file at path. What is no regular
// file has none, and the zero identity.
func (s *Set) loopsOf(path string) (file host.FileID, loops []string, err error) {
	if !filepath.IsAbs(path) {
		return file, nil, nil
	}
	fi, err := s.Host.Stat(path)
	if err != nil || !fi.Mode().IsRegular() {
		return file, nil, nil // for the script to judge
	}
	if file, err = s.Host.IDOf(path); err != nil {
		return file, nil, err
	}
	all, err := s.Host.Loops()
	for _, l := range all {
		if l.File == file {
			loops = append(loops, l.Path)
		}
	}
	return file, loops, err
}

// freeUnknown frees the loop devices of a file that were not there before and that no
// disk is known to have. The scripts keep their lock from making one until xenstore
// names it, so what is unknown under that lock is known to nobody.
func (s *Set) freeUnknown(ctx context.Context, path string, before []string) error {
	lock, err := s.Host.HotplugLock(ctx, "block")
	if err != nil {
		return err
	}
	defer lock.Unlock()
	_, loops, err := s.loopsOf(path)
	if err != nil {
		return err
	}
	known, err := s.loopsInStore(ctx)
	if err != nil {
		return err
	}
	for _, l := range loops {
		if !slices.Contains(before, l) && !slices.Contains(known, l) {
			err = errors.Join(err, s.Host.DetachLoop(l, path))
		}
	}
	return err
}

// loopsInStore returns the loop devices that disks of this domain are served from.
func (s *Set) loopsInStore(ctx context.Context) ([]string, error) {
	base := fmt.Sprintf("/local/domain/%d/backend/%s", s.Self, VBD)
	doms, err := s.list(ctx, base)
	if err != nil {
		return nil, err
	}
	var nodes []string
	for _, dom := range doms {
		ids, err := s.list(ctx, base+"/"+dom)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			v, err := s.read(ctx, base+"/"+dom+"/"+id, "node")
			if err != nil {
				return nil, err
			}
			nodes = append(nodes, v["node"])
		}
	}
	return nodes, nil
}
