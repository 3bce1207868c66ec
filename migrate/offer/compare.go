package offer

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// Local is what speaks against moving guest id on this side alone.
func Local(m *domains.Manager, id abi.DomID, kind domains.Type, spec *config.Spec, live bool) (list []Finding) {
	say := func(about, format string, args ...any) {
		list = append(list, Finding{about, true, fmt.Sprintf(format, args...)})
	}
	if kind == domains.HVM {
		say("type", "HVM guests cannot be moved yet")
	}
	if len(spec.BInfo.VNUMANodes) > 0 {
		say("type", "a guest with vnuma= cannot be moved")
	}
	if len(spec.PCIDevs) > 0 {
		say("device", "%d PCI devices cannot be moved: detach them first", len(spec.PCIDevs))
	}
	if live && kind == domains.PV {
		if f := tryLogDirty(m, id); f != nil {
			list = append(list, *f)
		}
	}
	return list
}

// tryLogDirty finds out whether Xen can note what a guest writes, by having it begin:
// it may be built without that, or have no memory for it. Without PCI devices Xen's
// answer EINVAL means that it does already (paging_log_dirty_enable): that is not ended
// here, since it may be the work of another xl.
func tryLogDirty(m *domains.Manager, id abi.DomID) *Finding {
	err := m.Xen().EnableLogDirty(id)
	if errors.Is(err, unix.EINVAL) {
		return &Finding{"log-dirty", false, "Xen notes already what the guest writes: it is being moved, or a migration of it was killed"}
	}
	if err == nil {
		err = m.Xen().DisableLogDirty(id)
	}
	if err != nil {
		return &Finding{"log-dirty", true, fmt.Sprintf("this Xen cannot note what the PV guest writes (%v): move it with --quick", err)}
	}
	return nil
}

// Compare is what speaks against moving a guest, all of it: what the receiver found,
// and what only shows when both sides are known. The configuration is the one that q
// describes.
func Compare(m *domains.Manager, q *Question, spec *config.Spec, a *Answer) []Finding {
	list := slices.Clone(a.Findings)
	if a.XenMinor < q.Guest.XenMinor {
		list = append(list, older(a.Xen, m))
	}
	if q.Guest.Boot != "" && q.Guest.Boot == a.Boot {
		return list // one host: its disks are the same
	}
	for i := range spec.Disks {
		d := &spec.Disks[i]
		if _, along := q.Guest.Along[d.VDev.Value()]; along || d.Path.Value() == "" {
			continue // it will be made there, or is a drive without a medium
		}
		if why := unseen(d); why != "" {
			list = append(list, Finding{"disk", false, fmt.Sprintf("%s: not compared, %s", d.VDev.Value(), why)})
			continue
		}
		name := d.VDev.Value()
		if f := compareDisk(d, q.Guest.Disks[name], a.Disks[name], func() DiskState { return lookAgain(m, diskPath(d)) }); f != nil {
			list = append(list, *f)
		}
	}
	return list
}

func older(there string, m *domains.Manager) Finding {
	v := m.Xen().Version()
	return Finding{"xen", false, fmt.Sprintf("Xen %s there is older than %d.%d here: Xen promises only the way to newer ones", there, v.Major, v.Minor)}
}

// compareDisk finds out whether both sides see the same disk. Again looks at it once
// more here: the guest may have written between both looks.
func compareDisk(d *config.Disk, here, there DiskState, again func() DiskState) *Finding {
	no := func(format string, args ...any) *Finding {
		return &Finding{"disk", true, fmt.Sprintf("%s (%s): ", d.VDev.Value(), here.Path) + fmt.Sprintf(format, args...)}
	}
	switch {
	case here.Storage == nil:
		return &Finding{"disk", false, fmt.Sprintf("%s (%s): not compared: %s", d.VDev.Value(), here.Path, here.Error)}
	case there.Storage == nil:
		return no("not there: %s", there.Error)
	case here.Block != there.Block:
		return no("a device on one side, and a file on the other")
	case here.Size != there.Size:
		return no("not shared: %d bytes here, %d there", here.Size, there.Size)
	case here.ID != "" && here.ID == there.ID:
		return nil
	case here.ID != "" && there.ID != "":
		return no("not shared: it is %s here, and %s there", here.ID, there.ID)
	case d.ReadWrite != 0 && here.Local != "":
		return no("not shared: it lies on %s, which only one host can have", here.Local)
	}
	var now DiskState
	for i, s := range here.Samples {
		if i < len(there.Samples) && there.Samples[i] == s {
			continue
		}
		if now.Storage == nil && now.Error == "" {
			now = again()
		}
		if now.Storage == nil || i >= len(now.Samples) || now.Samples[i] == s { // it did not change here
			return no("not shared: it holds something else there (%d of %d samples differ)", differing(here, there), len(here.Samples))
		}
	}
	return nil
}

func differing(here, there DiskState) (n int) {
	for i, s := range here.Samples {
		if i >= len(there.Samples) || there.Samples[i] != s {
			n++
		}
	}
	return n
}
