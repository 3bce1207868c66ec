package doctor

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"goxl/domains"
	"goxl/domains/host"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// living is which domains there are. It is asked for after what it is compared with
// was read: a domain lives longer than anything that is noted about it.
func living(ctx context.Context, m *domains.Manager) (ids map[abi.DomID]abi.UUID, uuids map[abi.UUID]bool, err error) {
	all, err := m.List(ctx)
	if err != nil {
		return nil, nil, err
	}
	ids, uuids = map[abi.DomID]abi.UUID{}, map[abi.UUID]bool{}
	for _, d := range all {
		ids[d.ID], uuids[d.UUID] = d.UUID, true
	}
	return ids, uuids, nil
}

// storeLeftovers looks for what stands in xenstore of domains that are gone.
func storeLeftovers(ctx context.Context, m *domains.Manager) ([]Finding, error) {
	byID, err := recordsByID(ctx, m.Store())
	if err != nil {
		return nil, err
	}
	vms, err := children(ctx, m.Store(), "/vm")
	if err != nil {
		return nil, err
	}
	ids, uuids, err := living(ctx, m)
	if err != nil {
		return nil, err
	}
	var list []Finding
	for _, r := range byID {
		if _, lives := ids[r.dom]; !lives {
			list = append(list, gone(Trouble, r.path, fmt.Sprintf("domain %d", r.dom)))
		}
	}
	for _, name := range vms {
		if u, ok := abi.ParseUUID(name); ok && !uuids[u] {
			list = append(list, gone(Note, "/vm/"+name, "a guest"))
		}
	}
	return orFine(list, "nothing stands there of domains that are gone"), nil
}

func gone(level Level, path, whose string) Finding {
	return Finding{level, "", fmt.Sprintf("%s is left of %s, which is gone", path, whose), "xenstore-rm " + path}
}

// record is a directory that belongs to a domain.
type record struct {
	path string
	dom  abi.DomID
}

// recordsByID lists the directories that domain ids name: domains, the toolstack's
// own notes, and domain 0's backends.
func recordsByID(ctx context.Context, s *xenstore.Client) ([]record, error) {
	const backends = "/local/domain/0/backend"
	kinds, err := children(ctx, s, backends)
	if err != nil {
		return nil, err
	}
	dirs := []string{"/local/domain", "/libxl"}
	for _, kind := range kinds {
		dirs = append(dirs, backends+"/"+kind)
	}
	var list []record
	for _, dir := range dirs {
		names, err := children(ctx, s, dir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if n, err := strconv.ParseUint(name, 10, 16); err == nil && abi.DomID(n) < abi.DomFirstReserved {
				list = append(list, record{dir + "/" + name, abi.DomID(n)})
			}
		}
	}
	return list, nil
}

// children lists a directory; one that is not there has none.
func children(ctx context.Context, s *xenstore.Client, dir string) ([]string, error) {
	names, err := s.List(ctx, dir)
	if errors.Is(err, xenstore.ErrNotFound) {
		return nil, nil
	}
	return names, err
}

// userdataName is the name of a file that libxl keeps about a domain.
const userdataName = `^userdata-[a-z]\.(\d+)\.([0-9a-f-]{36})\.`

// fileLeftovers looks for configurations and locks of domains that are gone. Only a
// restart of the host, or a killed tool, leaves them.
func fileLeftovers(ctx context.Context, m *domains.Manager) ([]Finding, error) {
	h := m.Host()
	paths, err := h.Glob(filepath.Join(h.Lib, "userdata-*"))
	if err != nil {
		return nil, err
	}
	ids, _, err := living(ctx, m)
	if err != nil {
		return nil, err
	}
	var list []Finding
	name := regexp.MustCompile(userdataName)
	for _, path := range paths {
		f := name.FindStringSubmatch(filepath.Base(path))
		if f == nil {
			continue
		}
		id, err := strconv.ParseUint(f[1], 10, 16)
		if uuid, lives := ids[abi.DomID(id)]; err == nil && (!lives || uuid.String() != f[2]) {
			list = append(list, Finding{Note, "", fmt.Sprintf("%s is left of domain %d, which is gone", path, id), "rm " + path})
		}
	}
	return orFine(list, "%s holds no file of a domain that is gone", h.Lib), nil
}

// loopLeftovers looks for loop devices that serve neither a guest nor a mount. Whether
// they are somebody else's only the operator knows.
func loopLeftovers(ctx context.Context, m *domains.Manager) ([]Finding, error) {
	h := m.Host()
	loops, err := h.Loops()
	if err != nil || len(loops) == 0 {
		return fine("none is in use"), err
	}
	used, err := disksInUse(ctx, m)
	if err != nil {
		return nil, err
	}
	mounts, err := h.Mounts()
	if err != nil {
		return nil, err
	}
	for _, mount := range mounts {
		used[mount.Source] = true
	}
	var list []Finding
	for _, l := range loops {
		if !used[l.Path] && !used[l.Num.String()] && !held(h, l) {
			list = append(list, Finding{Note, "", fmt.Sprintf("%s shows %s, and serves neither a guest nor a mounted file system", l.Path, l.Name),
				"if nothing else needs it: losetup -d " + l.Path})
		}
	}
	return orFine(list, "each of the %d in use serves a guest, a file system or another device", len(loops)), nil
}

// held reports whether another block device lies on the loop device.
func held(h *host.Host, l host.Loop) bool {
	names, err := h.ReadDir(filepath.Join(h.Sys, "block", filepath.Base(l.Path), "holders"))
	return err == nil && len(names) > 0
}

// disksInUse returns the devices that guests' backends name: by path, and by number as
// block backends write it.
func disksInUse(ctx context.Context, m *domains.Manager) (map[string]bool, error) {
	const vbds = "/local/domain/0/backend/vbd"
	used := map[string]bool{}
	doms, err := children(ctx, m.Store(), vbds)
	if err != nil {
		return nil, err
	}
	for _, dom := range doms {
		devs, err := children(ctx, m.Store(), vbds+"/"+dom)
		if err != nil {
			return nil, err
		}
		for _, dev := range devs {
			for _, key := range []string{"node", "physical-device", "physical-device-path", "params"} {
				v, err := m.Store().Read(ctx, strings.Join([]string{vbds, dom, dev, key}, "/"))
				if err != nil && !errors.Is(err, xenstore.ErrNotFound) {
					return nil, err
				}
				used[v] = true
			}
		}
	}
	return used, nil
}
