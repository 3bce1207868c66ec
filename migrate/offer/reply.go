package offer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/domains/policy"
	"goxl/migrate/direct"
	"goxl/migrate/disks"
	"goxl/xenctrl/abi"
)

// Reply is this host's answer. Only a host that cannot even describe itself is an
// error; whatever speaks against a guest is a finding.
func Reply(ctx context.Context, m *domains.Manager, j Journal, q *Question) (*Answer, error) {
	v := m.Xen().Version()
	extra, err := m.Xen().ExtraVersion()
	if err != nil {
		return nil, err
	}
	name, _ := os.Hostname() // for people
	a := &Answer{Goxl: Version, Transports: []string{Packed, direct.Name, disks.Name}, Host: name, Boot: m.Host().BootID(),
		Xen: fmt.Sprintf("%d.%d%s", v.Major, v.Minor, extra), XenMinor: v.Minor}
	if q.Guest != nil {
		a.judge(ctx, m, q.Guest)
	}
	if q.Holder != "" {
		a.Started = j.Started(q.Holder)
		return a, a.find(ctx, m, q.Holder)
	}
	return a, nil
}

func (a *Answer) say(about string, blocks bool, format string, args ...any) {
	a.Findings = append(a.Findings, Finding{about, blocks, fmt.Sprintf(format, args...)})
}

// judge looks for what speaks against a guest here.
func (a *Answer) judge(ctx context.Context, m *domains.Manager, g *Guest) {
	spec, err := config.DecodeJSON(g.Config)
	if err != nil {
		a.say("configuration", true, "it is not understood there: %v", err)
		return
	}
	if g.Boot != "" && g.Boot == a.Boot { // within one host it comes under another name, beside itself
		spec.CInfo.Name = config.Some(spec.CInfo.Name.Value() + "--incoming")
	}
	for _, err := range m.Admit(ctx, spec) {
		a.say(subject(err), true, "%v", err)
	}
	if _, err := m.ByName(ctx, spec.CInfo.Name.Value()+"--incoming"); err == nil {
		a.say("name", true, "a guest %s--incoming is there already", spec.CInfo.Name.Value())
	}
	a.judgeCPU(m, spec, g)
	elsewhere := g.Boot == "" || g.Boot != a.Boot // within one host the guest itself uses them
	a.judgeAlong(spec, g.Along)
	a.Disks = look(ctx, m, spec, elsewhere)
	for i := range spec.Disks {
		a.judgeUsers(&spec.Disks[i])
	}
	for _, f := range []string{spec.BInfo.Kernel.Value(), spec.BInfo.Ramdisk.Value()} {
		if f != "" && elsewhere {
			if err := inTime(func() error { _, err := m.Host().Stat(f); return err }); err != nil {
				a.say("kernel", false, "%v: the guest runs without it, but cannot be rebooted", err)
			}
		}
	}
}

// judgeAlong tells of each disk that goes along why it cannot be put here.
func (a *Answer) judgeAlong(spec *config.Spec, along map[string]Along) {
	used := map[string]int64{}
	for i := range spec.Disks {
		d := &spec.Disks[i]
		name, path := d.VDev.Value(), d.Path.Value()
		g, ok := along[name]
		if !ok {
			continue
		}
		dir := filepath.Dir(path)
		used[dir] += max(g.Used, 0)
		p := disks.Place{Path: path, Size: g.Size, Used: used[dir], Overwrite: g.Overwrite}
		if err := inTime(p.Admit); err != nil {
			a.say("disk", true, "%s cannot go along: there %v", name, err)
		}
	}
}

// judgeUsers tells of everything on this host that uses a disk of the guest's: two that
// write damage it, and one that writes confuses one that reads.
func (a *Answer) judgeUsers(d *config.Disk) {
	s := a.Disks[d.VDev.Value()]
	for _, u := range s.users {
		if u.Writes || d.ReadWrite != 0 {
			a.say("disk", true, "%s (%s): in use there by %s", d.VDev.Value(), s.Path, u.What)
		}
	}
	if s.usersErr != nil {
		a.say("disk", false, "%s (%s): not known whether something there uses it: %v", d.VDev.Value(), s.Path, s.usersErr)
	}
}

// subject is what an error is about.
func subject(err error) string {
	switch {
	case errors.Is(err, domains.NoMemory):
		return "memory"
	case errors.Is(err, domains.NameTaken):
		return "name"
	case errors.Is(err, domains.DeviceFailed):
		return "bridge"
	case errors.Is(err, domains.Unsupported):
		return "device"
	}
	return "configuration"
}

// judgeCPU compares the guest's CPU with the most that this host has to offer.
func (a *Answer) judgeCPU(m *domains.Manager, spec *config.Spec, g *Guest) {
	index := uint32(abi.PolicyHVMMax)
	if spec.CInfo.Type == config.TypePV {
		index = abi.PolicyPVMax
	}
	most, err := m.Xen().SystemCPUPolicy(index)
	if err != nil {
		a.say("cpu", false, "not compared: %v", err)
		return
	}
	a.Findings = append(a.Findings, misfits(policy.Fit(abi.CPUPolicy{Leaves: g.Leaves}, most))...)
}

// misfits are the findings about a CPU.
func misfits(m policy.Misfit) (list []Finding) {
	if len(m.Features) > 0 {
		list = append(list, Finding{"cpu", true, fmt.Sprintf("the guest uses features that are missing there: %s; from its next start on it does without them with %s",
			words(m.Features), m.CPUID())})
	}
	for _, l := range m.Leaves {
		list = append(list, Finding{"cpu", true, "its CPUID goes further than Xen takes it there: up to " + l})
	}
	return list
}

func words(list []string) string {
	out := ""
	for i, w := range list {
		if i > 0 {
			out += ", "
		}
		out += w
	}
	return out
}

// find lists the domains that have a UUID.
func (a *Answer) find(ctx context.Context, m *domains.Manager, uuid string) error {
	list, err := m.List(ctx)
	if err != nil {
		return err
	}
	for _, d := range list {
		if d.UUID.String() == uuid && !d.Dying {
			a.Holds = append(a.Holds, Holding{d.ID, d.Name, d.Paused, d.Shutdown})
		}
	}
	return nil
}
