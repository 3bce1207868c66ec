package domains

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
	"goxl/xenstore/wire"
)

// Permission lists of a new domain's nodes. Domain 0 owns what the guest may
// only read; the guest owns what it writes.
func readOnly(id abi.DomID) []wire.Perm {
	return []wire.Perm{{Dom: 0, Access: wire.None}, {Dom: id, Access: wire.Read}}
}

func guestOwned(id abi.DomID) []wire.Perm {
	return []wire.Perm{{Dom: id, Access: wire.None}}
}

func private() []wire.Perm { return []wire.Perm{{Dom: 0, Access: wire.None}} }

// nodeBatch collects the nodes of one transaction, which travel together.
type nodeBatch struct{ xenstore.Batch }

// dir makes an empty node with the given permissions. It is written, not made
// by mkdir, because that is what libxl does.
func (b *nodeBatch) dir(path string, perms []wire.Perm) {
	b.Write(path, "")
	b.SetPerms(path, perms)
}

// removeAll removes what an earlier domain of the same id may have left.
func removeAll(ctx context.Context, s xenstore.Store, paths ...string) error {
	for _, p := range paths {
		if err := s.Rm(ctx, p); err != nil && !isNotFound(err) {
			return err
		}
	}
	return nil
}

// newDomain is what the first transaction of a creation writes.
type newDomain struct {
	id   abi.DomID
	uuid abi.UUID
	name string
	kind Type
	// suspendCompat leaves the suspend event channel to the guest, as xend did.
	suspendCompat bool
	driverDomain  bool
	xsData        config.KeyValues // below the domain's directory
	platformData  config.KeyValues // below its platform directory
}

// write makes the nodes of a new domain, in libxl's order (libxl_create.c,
// libxl__domain_make). The caller has checked that the name is free.
func (d *newDomain) write(ctx context.Context, s xenstore.Store) error {
	dom, vm, own := domainPath(d.id), vmPath(d.uuid), libxlPath(d.id)
	ro, rw := readOnly(d.id), guestOwned(d.id)
	if err := removeAll(ctx, s, dom, vm, own); err != nil {
		return err
	}
	var w nodeBatch
	w.dir(dom, ro)
	w.dir(vm, ro)
	w.dir(own, private())
	w.dir(own+"/device", private())
	w.Write(dom+"/vm", vm)
	w.Write(dom+"/name", d.name)
	w.Write(vm+"/name", d.name)
	w.dir(dom+"/cpu", ro)
	w.dir(dom+"/memory", ro)
	if d.suspendCompat {
		w.dir(dom+"/device", rw)
	} else {
		w.dir(dom+"/device", ro)
		w.dir(dom+"/device/suspend/event-channel", rw)
	}
	w.dir(dom+"/control", ro)
	if d.kind == HVM {
		w.dir(dom+"/hvmloader", ro)
	}
	for _, key := range d.guestKeys() {
		w.dir(dom+"/"+key, rw)
	}
	w.Write(vm+"/uuid", d.uuid.String())
	w.Write(vm+"/name", d.name)
	for _, kv := range d.xsData {
		w.Write(dom+"/"+kv.Key, kv.Value.Value())
	}
	for _, kv := range d.platformData {
		w.Write(dom+"/platform/"+kv.Key, kv.Value.Value())
	}
	w.Write(dom+"/control/platform-feature-multiprocessor-suspend", "1")
	w.Write(dom+"/control/platform-feature-xs_reset_watches", "1")
	w.Write(own+"/type", d.kind.String())
	return s.Send(ctx, &w.Batch)
}

// guestKeys are the nodes that belong to the guest, in libxl's order.
func (d *newDomain) guestKeys() []string {
	keys := []string{"control/shutdown", "control/feature-poweroff", "control/feature-reboot", "control/feature-suspend"}
	if d.kind == HVM {
		keys = append(keys, "control/feature-s3", "control/feature-s4")
	}
	keys = append(keys, "control/sysrq", "data", "drivers", "feature", "attr", "error")
	if d.driverDomain {
		keys = append(keys, "libxl", "device-model")
	}
	return keys
}

// builtDomain is what the second transaction writes, once the build is done.
type builtDomain struct {
	id      abi.DomID
	uuid    abi.UUID
	kind    Type
	max     abi.KiB // static maximum
	target  abi.KiB // without the video memory
	video   abi.KiB
	port    abi.Port // xenstore's event channel
	ring    abi.GFN  // xenstore's ring
	vcpus   int
	online  func(vcpu int) bool
	started time.Time
	kernel  string // PV only: paths as configured; "" for a guest that was saved
	ramdisk string // "" for none
	cmdLine string
	hasCmd  bool // a command line was given, if only an empty one
}

// write adds the nodes of a built domain, in libxl's order (libxl_dom.c,
// libxl__build_post).
func (d *builtDomain) write(ctx context.Context, s xenstore.Store) error {
	dom, vm := domainPath(d.id), vmPath(d.uuid)
	var w nodeBatch
	w.Write(dom+"/memory/static-max", strconv.FormatUint(uint64(d.max), 10))
	w.Write(dom+"/memory/target", strconv.FormatUint(uint64(d.target), 10))
	w.Write(dom+"/memory/videoram", strconv.FormatUint(uint64(d.video), 10))
	w.Write(dom+"/domid", strconv.Itoa(int(d.id)))
	w.Write(dom+"/store/port", strconv.FormatUint(uint64(d.port), 10))
	w.Write(dom+"/store/ring-ref", strconv.FormatUint(uint64(d.ring), 10))
	for i := range d.vcpus {
		w.Write(fmt.Sprintf("%s/cpu/%d/availability", dom, i), onlineText(d.online(i)))
	}
	start := fmt.Sprintf("%d.%02d", d.started.Unix(), d.started.Nanosecond()/10_000_000)
	if d.kind != PV {
		w.Write(vm+"/start_time", start)
		return s.Send(ctx, &w.Batch)
	}
	w.Write(vm+"/image/ostype", "linux")
	if d.kernel != "" {
		w.Write(vm+"/image/kernel", d.kernel)
	}
	w.Write(vm+"/start_time", start)
	if d.ramdisk != "" {
		w.Write(vm+"/image/ramdisk", d.ramdisk)
	}
	if d.hasCmd {
		w.Write(vm+"/image/cmdline", d.cmdLine)
	}
	return s.Send(ctx, &w.Batch)
}
