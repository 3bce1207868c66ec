package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"goxl/domains"
	"goxl/xenstore"
)

// run are the releases of Xen that the tests of this project run on.
var run = []int{14, 17, 20}

func hypervisor(ctx context.Context, m *domains.Manager) ([]Finding, error) {
	i, err := m.HostInfo(ctx)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("Xen %d.%d%s, %s", i.Major, i.Minor, i.Extra, i.Capabilities)
	for _, minor := range run {
		if i.Major == 4 && i.Minor == minor {
			return fine("%s", text), nil
		}
	}
	return []Finding{{Note, "", text + "; the layouts of its hypercalls are checked, but goxl's tests do not run on this release", ""}}, nil
}

// domain0 looks for what xen-init-dom0 writes.
func domain0(ctx context.Context, m *domains.Manager) ([]Finding, error) {
	name, err := m.Store().Read(ctx, "/local/domain/0/name")
	if errors.Is(err, xenstore.ErrNotFound) {
		return []Finding{{Trouble, "", "xenstore has no name of domain 0", "run xen-init-dom0, as the distribution's xencommons or xen-init-dom0.service does"}}, nil
	}
	if err != nil {
		return nil, err
	}
	return fine("xenstore answers, and knows domain 0 as %s", name), nil
}

func kernelDevices(_ context.Context, m *domains.Manager) ([]Finding, error) {
	h := m.Host()
	var list []Finding
	for _, d := range []struct {
		name   string
		level  Level
		need   string
		advice string
	}{
		{"xen/privcmd", Trouble, "no command that drives guests works", "modprobe xen-privcmd"},
		{"xen/hypercall", Note, "hypercalls use locked memory instead, and are repeated when the kernel moves it", "use a kernel of 4.18 or later"},
		{"xen/evtchn", Trouble, "nobody notices when a guest ends", "modprobe xen-evtchn"},
		{"xen/gntdev", Trouble, "guests' consoles and disks cannot be served from user space", "modprobe xen-gntdev"},
		{"loop-control", Trouble, "disks in files cannot be attached", "modprobe loop"},
	} {
		switch _, err := h.Stat(filepath.Join(h.Dev, d.name)); {
		case errors.Is(err, fs.ErrNotExist):
			list = append(list, Finding{d.level, "", fmt.Sprintf("there is no /dev/%s: %s", d.name, d.need), d.advice})
		case err != nil:
			return list, err
		}
	}
	return orFine(list, "privcmd, hypercall, evtchn, gntdev and loop are there"), nil
}

// consoleDaemon looks whether somebody serves consoles. Xenstore names the domain only
// where it is not this one; in this one a daemon leaves no trace that would be sure to
// go with it, but its process.
func consoleDaemon(ctx context.Context, m *domains.Manager) ([]Finding, error) {
	dom, err := m.Store().Read(ctx, "/tool/xenconsoled/domid")
	switch {
	case err == nil && dom != "" && dom != "0":
		return fine("runs in domain %s", dom), nil
	case err != nil && !errors.Is(err, xenstore.ErrNotFound):
		return nil, err
	}
	all, err := running(m, "xenconsoled", "consoled")
	if err != nil {
		return nil, err
	}
	switch len(all) {
	case 0:
		return []Finding{{Trouble, "", "neither xenconsoled nor goxl's consoled runs",
			"start xenconsoled or consoled: xl create waits for a console in vain"}}, nil
	case 1:
		return fine("is %s", all[0]), nil
	}
	return []Finding{{Trouble, "", "there are several: " + strings.Join(all, ", "),
		"stop all but one: each serves the guests that it saw first"}}, nil
}

// networkBackend looks whether somebody, and not two, serves network interfaces.
func networkBackend(_ context.Context, m *domains.Manager) ([]Finding, error) {
	ours, err := running(m, "netback")
	if err != nil {
		return nil, err
	}
	h := m.Host()
	_, err = h.Stat(filepath.Join(h.Sys, "bus/xen-backend/drivers/vif"))
	switch {
	case err == nil && len(ours) > 0:
		return []Finding{{Trouble, "", "both xen-netback and " + ours[0] + " serve network interfaces",
			"stop netback, or modprobe -r xen-netback and keep it out (docs/backends.md)"}}, nil
	case err == nil:
		return fine("is the kernel's xen-netback"), nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case len(ours) > 0:
		return fine("is %s", ours[0]), nil
	}
	return []Finding{{Note, "", "neither xen-netback nor goxl's netback serves network interfaces in this domain",
		"modprobe xen-netback, or start netback"}}, nil
}

// running returns the processes of these names, as messages call them.
func running(m *domains.Manager, names ...string) ([]string, error) {
	h := m.Host()
	files, err := h.Glob(filepath.Join(h.Proc, "[0-9]*", "comm"))
	if err != nil {
		return nil, err
	}
	var all []string
	for _, f := range files {
		b, err := h.ReadFile(f)
		if err != nil {
			continue // it ended meanwhile
		}
		if name := strings.TrimSpace(string(b)); slices.Contains(names, name) {
			all = append(all, fmt.Sprintf("process %s (%s)", filepath.Base(filepath.Dir(f)), name))
		}
	}
	return all, nil
}

func memory(ctx context.Context, m *domains.Manager) ([]Finding, error) {
	i, err := m.HostInfo(ctx)
	if err != nil {
		return nil, err
	}
	d, err := m.Info(ctx, 0)
	if err != nil {
		return nil, err
	}
	mib := func(pages uint64) uint64 { return pages * uint64(i.PageSize) >> 20 }
	return fine("%d MiB of %d are free; domain 0 has %d", mib(uint64(i.Phys.FreePages)), mib(uint64(i.Phys.TotalPages)), d.Current/1024), nil
}

func directories(_ context.Context, m *domains.Manager) ([]Finding, error) {
	h := m.Host()
	var list []Finding
	for _, dir := range []struct{ path, need string }{
		{h.Lib, "guests' configurations are kept there"},
		{h.Run, "the toolstack keeps its sockets and the history of domain ids there"},
		{h.Log, "what happens to guests is logged there"},
	} {
		fi, err := h.Stat(dir.path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			list = append(list, Finding{Trouble, "", fmt.Sprintf("%s does not exist: %s", dir.path, dir.need), "mkdir -p " + dir.path})
		case err != nil:
			return list, err
		case !fi.IsDir():
			list = append(list, Finding{Trouble, "", dir.path + " is not a directory: " + dir.need, "move it away, and mkdir " + dir.path})
		}
	}
	return orFine(list, "%s, %s and %s exist", h.Lib, h.Run, h.Log), nil
}

// scripts tells whether the usual hotplug scripts are run or stood in for.
func scripts(_ context.Context, m *domains.Manager) ([]Finding, error) {
	h := m.Host()
	var list []Finding
	for _, name := range []string{"block", "vif-bridge"} {
		path := filepath.Join(h.Scripts, name)
		if _, ok := h.Known(path); ok {
			continue
		}
		if _, err := h.Stat(path); errors.Is(err, fs.ErrNotExist) {
			list = append(list, Finding{Trouble, "", path + " does not exist: devices that need it are refused", "install the distribution's Xen utilities"})
			continue
		}
		list = append(list, Finding{Note, "", path + " is not, or not only, what a known distribution ships: it is run as it is, which is slower", ""})
	}
	return orFine(list, "block and vif-bridge are unmodified, and done natively"), nil
}

func bridge(_ context.Context, m *domains.Manager) ([]Finding, error) {
	name := m.Conf().VIFBridge.Or("xenbr0")
	h := m.Host()
	if _, err := h.Stat(filepath.Join(h.Sys, "class/net", name)); errors.Is(err, fs.ErrNotExist) {
		return []Finding{{Note, "", "there is no bridge " + name + ", which a vif without bridge= is put on", "make it, or name another as vif.default.bridge in xl.conf"}}, nil
	} else if err != nil {
		return nil, err
	}
	return fine("%s is there for vifs without bridge=", name), nil
}
