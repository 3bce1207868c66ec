package domains

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"goxl/domains/host"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// DiskUser is something on this host that uses a disk.
type DiskUser struct {
	What   string // for a person: "guest web2 (xvda)", "loop device /dev/loop3"
	Writes bool   // or may do so
}

// DiskUsers finds what on this host uses the file or block device at path: guests that
// domain 0 serves it to, file systems mounted from it, and loop devices that nobody of
// these uses. What else has it open is not looked for. It blocks as long as the file
// system that path is on.
func (m *Manager) DiskUsers(ctx context.Context, path string) ([]DiskUser, error) {
	d := disk{m: m}
	var err error
	if d.file, err = m.host.IDOf(path); err != nil {
		return nil, err
	}
	if num, err := m.host.BlockNumber(path); err == nil {
		d.nums = append(d.nums, num)
	}
	loops, err := m.host.Loops()
	if err != nil {
		return nil, err
	}
	loops = slices.DeleteFunc(loops, func(l host.Loop) bool { return l.File != d.file && !slices.Contains(d.nums, l.Num) })
	for _, l := range loops {
		d.nums = append(d.nums, l.Num)
	}
	users, err := d.guests(ctx)
	mounted, unknown := d.mounts()
	users = append(users, mounted...)
	for _, l := range loops {
		if !slices.Contains(d.used, l.Num) {
			users = append(users, DiskUser{"loop device " + l.Path, !m.readOnlyLoop(l)})
		}
	}
	return users, errors.Join(err, unknown)
}

// disk is what is looked for.
type disk struct {
	m    *Manager
	file host.FileID
	nums []host.DevNumber // the block devices that show it
	used []host.DevNumber // those of them of which the user is known
}

// guests are those that domain 0 serves the disk to, by its own drivers or by QEMU.
func (d *disk) guests(ctx context.Context) (users []DiskUser, err error) {
	for _, kind := range []string{"vbd", "qdisk"} {
		base := "/local/domain/0/backend/" + kind
		doms, err := d.list(ctx, base)
		if err != nil {
			return users, err
		}
		for _, dom := range doms {
			ids, err := d.list(ctx, base+"/"+dom)
			if err != nil {
				return users, err
			}
			for _, id := range ids {
				if u, ok := d.guest(ctx, dom, base+"/"+dom+"/"+id); ok {
					users = append(users, u)
				}
			}
		}
	}
	return users, nil
}

func (d *disk) list(ctx context.Context, path string) ([]string, error) {
	names, err := d.m.store.List(ctx, path)
	if errors.Is(err, xenstore.ErrNotFound) {
		return nil, nil
	}
	return names, err
}

// guest looks whether one backend serves the disk. Nodes that go meanwhile are those of
// a guest that ends.
func (d *disk) guest(ctx context.Context, dom, node string) (DiskUser, bool) {
	read := func(name string) string {
		v, err := d.m.store.Read(ctx, node+"/"+name)
		if err != nil {
			return ""
		}
		return v
	}
	num, err := host.ParseDevNumber(read("physical-device"))
	shows := err == nil && slices.Contains(d.nums, num)
	if shows {
		d.used = append(d.used, num)
	} else if _, path, ok := strings.Cut(read("params"), "/"); ok { // QEMU's begins with the format
		id, err := d.m.host.IDOf("/" + path)
		shows = err == nil && id == d.file
	}
	if !shows {
		return DiskUser{}, false
	}
	name := "domain " + dom
	if id, err := strconv.ParseUint(dom, 10, 15); err == nil {
		if n, err := d.m.Name(ctx, abi.DomID(id)); err == nil {
			name = n
		}
	}
	return DiskUser{fmt.Sprintf("guest %s (%s)", name, read("dev")), strings.Contains(read("mode"), "w")}, true
}

// mounts are the file systems that are mounted from the disk.
func (d *disk) mounts() (users []DiskUser, err error) {
	if len(d.nums) == 0 {
		return nil, nil
	}
	list, err := d.m.host.Mounts()
	for _, mt := range list {
		if !filepath.IsAbs(mt.Source) {
			continue
		}
		if num, err := d.m.host.BlockNumber(mt.Source); err == nil && slices.Contains(d.nums, num) {
			d.used = append(d.used, num)
			users = append(users, DiskUser{"file system at " + mt.Dir, !mt.ReadOnly})
		}
	}
	return users, err
}

// readOnlyLoop reports whether a loop device lets nobody write.
func (m *Manager) readOnlyLoop(l host.Loop) bool {
	b, err := m.host.ReadFile(filepath.Join(m.host.Sys, "block", filepath.Base(l.Path), "ro"))
	return err == nil && strings.TrimSpace(string(b)) == "1"
}
