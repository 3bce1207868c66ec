package config

import (
	"math"
	"regexp"
)

// Conf is what /etc/xen/xl.conf says. The zero Conf is not the default; see
// [DefaultConf].
type Conf struct {
	Autoballoon        Defbool // Default: unless Xen was given dom0_mem
	RunHotplugScripts  bool
	LockFile           string
	VIFScript          Opt[string]
	VIFBridge          Opt[string]
	VIFGatewayDev      Opt[string]
	VIFBackend         Opt[string]
	OutputSXP          bool // output_format="sxp"
	BlkdevStart        Opt[string]
	ClaimMode          bool
	RemusNetbufScript  Opt[string]
	ColoProxyScript    Opt[string]
	MaxGrantFrames     Opt[uint32]
	MaxMaptrackFrames  Opt[uint32]
	MaxGrantVersion    Opt[uint32]
	CPUMask            Opt[string] // a CPU list for all guests
	HVMCPUMask         Opt[string] // for HVM and PVH guests
	PVCPUMask          Opt[string]
	RandomDomID        bool // domid_policy="random"
	BootloaderRestrict Defbool

	// KernelCache is a directory, or "off": goxl.kernel_cache, a key of ours, which the
	// genuine xl passes over.
	KernelCache Opt[string]
}

// DefaultConf returns what holds without an xl.conf.
func DefaultConf() *Conf {
	return &Conf{RunHotplugScripts: true, ClaimMode: true, LockFile: "/var/lock/xl"}
}

// ParseConf reads an xl.conf. The error is an *[Error].
func ParseConf(name string, src []byte, opts Options) (*Conf, []Warning, error) {
	syntax := parseSyntax(name, string(src))
	if syntax.failed {
		return nil, nil, syntax.err("Failed to parse config file: Invalid argument\n")
	}
	c := confReader{
		settings: &settings{file: name, byName: syntax.settings},
		Conf:     DefaultConf(), opts: opts,
	}
	for _, step := range []func() error{c.general, c.vif, c.output, c.grants, c.masks, c.domID} {
		if err := step(); err != nil {
			b := builder{settings: c.settings}
			return nil, c.warnings, b.located(err)
		}
	}
	c.noteUnused(syntax.order)
	return c.Conf, c.warnings, nil
}

type confReader struct {
	*settings
	*Conf
	opts Options
}

func (c *confReader) general() error {
	if v, p := c.text("autoballoon", loud); p == given {
		switch v {
		case "on", "1":
			c.Autoballoon = True
		case "off", "0":
			c.Autoballoon = False
		case "auto":
		default:
			c.note(CodeValue, "invalid autoballoon option")
		}
	}
	if v, p := c.number("run_hotplug_scripts", loud); p == given {
		c.RunHotplugScripts = int32(v) != 0
	}
	if v, p := c.text("lockfile", loud); p == given {
		c.LockFile = v
	}
	return nil
}

func (c *confReader) vif() error {
	for _, v := range []struct {
		old, key string
		dst      *Opt[string]
	}{
		{"vifscript", "vif.default.script", &c.VIFScript},
		{"defaultbridge", "vif.default.bridge", &c.VIFBridge},
	} {
		if c.setText(v.old, v.dst) {
			c.note(CodeDeprecated, "the global config option %s is deprecated, please switch to %s\n", v.old, v.key)
		}
		c.setText(v.key, v.dst)
	}
	c.setText("vif.default.gatewaydev", &c.VIFGatewayDev)
	c.setText("vif.default.backend", &c.VIFBackend)
	return nil
}

func (c *confReader) output() error {
	if v, p := c.text("output_format", loud); p == given {
		if c.OutputSXP = v == "sxp"; v != "sxp" && v != "json" {
			c.note(CodeValue, "invalid default output format \"%s\"\n", v)
		}
	}
	c.setText("blkdev_start", &c.BlkdevStart)
	if v, p := c.number("claim_mode", loud); p == given {
		c.ClaimMode = int32(v) != 0
	}
	c.setText("remus.default.netbufscript", &c.RemusNetbufScript)
	c.setText("colo.default.proxyscript", &c.ColoProxyScript)
	c.setText("goxl.kernel_cache", &c.KernelCache)
	return nil
}

// grants reads the limits of the grant table; xl says nothing about a bad one,
// but ends.
func (c *confReader) grants() error {
	for _, g := range []struct {
		key string
		dst *Opt[uint32]
	}{
		{"max_grant_frames", &c.MaxGrantFrames},
		{"max_maptrack_frames", &c.MaxMaptrackFrames},
		{"max_grant_version", &c.MaxGrantVersion},
	} {
		if g.key == "max_grant_version" && c.opts.Release.Before(4, 16) {
			continue
		}
		v, p, why := c.bounded(g.key, 0, math.MaxInt32, quiet)
		switch p {
		case given:
			*g.dst = Some(uint32(v))
		case unusable:
			return &Error{Exit: 1, Problems: []Problem{{Code: CodeValue, Msg: g.key + ": " + why}}}
		}
	}
	return nil
}

// masks reads the CPU masks. xl complains about a bad list and uses what it had
// read until there.
func (c *confReader) masks() error {
	for _, m := range []struct {
		key string
		dst *Opt[string]
	}{
		{"vm.cpumask", &c.CPUMask}, {"vm.hvm.cpumask", &c.HVMCPUMask}, {"vm.pv.cpumask", &c.PVCPUMask},
	} {
		if !c.setText(m.key, m.dst) {
			continue
		}
		if _, err := ParseCPUs(m.dst.Value(), c.opts.Host); err != nil {
			c.warnings = append(c.warnings, err.(*Error).Problems...)
		}
	}
	return nil
}

func (c *confReader) domID() error {
	if v, p := c.text("domid_policy", loud); p == given {
		if c.RandomDomID = v == "random"; v != "random" && v != "xen" {
			c.note(CodeValue, "invalid domid_policy option")
		}
	}
	if !c.opts.Release.Before(4, 18) {
		c.setBool("bootloader_restrict", &c.BootloaderRestrict)
	}
	return nil
}

var confKeys = []string{
	"autoballoon", "run_hotplug_scripts", "lockfile", "vif.default.script", "vif.default.bridge",
	"vif.default.gatewaydev", "vif.default.backend", "output_format", "blkdev_start", "claim_mode",
	"remus.default.netbufscript", "colo.default.proxyscript", "max_grant_frames", "max_maptrack_frames",
	"max_grant_version", "vm.cpumask", "vm.hvm.cpumask", "vm.pv.cpumask", "domid_policy", "bootloader_restrict",
}

func (c *confReader) noteUnused(order []*setting) {
	for _, set := range order {
		if c.byName[set.name] == set && !set.used {
			c.warnings = append(c.warnings, Warning{
				File: c.file, Line: set.line, Column: set.column, Code: CodeUnknownKey,
				Msg: "`" + set.name + "' is not a known key", Hint: didYouMean(set.name, confKeys),
			})
		}
	}
}

// dom0Mem is what xl looks for on Xen's command line; dom0MemOld up to 4.15.
const (
	dom0Mem    = `(^| )dom0_mem=((|min:|max:)(-?[0-9]+[bBkKmMgGtT]?|(-?[0-9]+[bBkKmMgGtT]?\+)?[0-9]{1,2}%),?)+($| )`
	dom0MemOld = `(^| )dom0_mem=((|min:|max:)[0-9]+[bBkKmMgG]?,?)+($| )`
)

// BalloonDom0 reports whether memory may be taken from dom0 for a new guest, on a
// hypervisor with the given command line.
func (c *Conf) BalloonDom0(xenCommandLine string, rel Release) bool {
	re := dom0Mem
	if rel.Before(4, 16) {
		re = dom0MemOld
	}
	return c.Autoballoon.Or(!regexp.MustCompile(re).MatchString(xenCommandLine))
}

// ApplyCPUMasks restricts the hard affinity of s to the masks, as xl does when it
// creates a guest. It fails if nothing is left for some vcpu.
func (c *Conf) ApplyCPUMasks(s *Spec, host Host) error {
	kind := c.HVMCPUMask
	if s.BInfo.Type == TypePV {
		kind = c.PVCPUMask
	}
	info := &s.BInfo
	all := cpuMask(c.CPUMask, host)
	typed := cpuMask(kind, host)
	if len(info.VCPUHardAffinity) == 0 && (!isFull(all) || !isFull(typed)) {
		for range min(max(info.MaxVCPUs, 0), maxVCPUs) {
			m := NewBitmap(host.maxCPUs())
			m.Fill()
			info.VCPUHardAffinity = append(info.VCPUHardAffinity, m)
		}
	}
	for _, m := range info.VCPUHardAffinity {
		m.And(all)
		m.And(typed)
		if m.IsEmpty() {
			return fatal(CodeConflict, "vcpu hard affinity map is empty\n")
		}
	}
	return nil
}

// cpuMask returns the set that a mask stands for, with what could be read of a
// bad one.
func cpuMask(text Opt[string], host Host) Bitmap {
	m := NewBitmap(host.maxCPUs())
	if !text.IsSet() {
		m.Fill()
		return m
	}
	_ = addCPUs(m, text.Value(), host) // ParseConf complained
	return m
}

func isFull(m Bitmap) bool { return m.Count() == m.Cap() }
