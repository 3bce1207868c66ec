package config

import (
	"math"
	"strings"
)

// maxVCPUs bounds what vcpus= may ask for; Xen's own limit is 8192.
const maxVCPUs = 1 << 16

func (b *builder) scheduling() error {
	info := &b.spec.BInfo
	if b.conf.BlkdevStart.IsSet() {
		info.BlkdevStart = b.conf.BlkdevStart
	}
	s := &info.SchedParams
	b.setOptInt("cpu_weight", &s.Weight)
	b.setOptInt("cap", &s.Cap)
	b.setOptInt("period", &s.Period)
	b.setOptInt("slice", &s.Slice)
	b.setOptInt("latency", &s.Latency)
	b.setOptInt("extratime", &s.ExtraTime)
	return nil
}

func (b *builder) memory() error {
	b.setMiB("memory", &b.spec.BInfo.TargetMem)
	b.setMiB("maxmem", &b.spec.BInfo.MaxMem)
	return nil
}

func (b *builder) llcColors() error {
	if b.before(4, 20) {
		return nil
	}
	items, p := b.list("llc_colors", loud)
	if p != given {
		return nil
	}
	colors := &b.spec.BInfo.LLCColors
	for i, item := range items {
		if item.isList {
			return fatal(CodeType, "xl: Can't get element %d in LLC color list\n", i)
		}
		first, rest, ok := scanUint(item.text, 10)
		if !ok {
			return fatal(CodeValue, "xl: Invalid LLC color range: %s\n", item.text)
		}
		last := first
		if after, dash := strings.CutPrefix(rest, "-"); dash {
			if v, _, ok := scanUint(after, 10); ok {
				last = v
			}
		}
		first, last = uint64(uint32(first)), uint64(uint32(last))
		if first > last {
			return fatal(CodeValue, "xl: Start LLC color is greater than end: %s\n", item.text)
		}
		if last-first >= maxVCPUs {
			return fatal(CodeValue, "xl: Invalid LLC color range: %s\n", item.text)
		}
		for c := first; c <= last; c++ {
			*colors = append(*colors, uint32(c))
		}
	}
	return nil
}

func (b *builder) vcpuCount() error {
	info := &b.spec.BInfo
	v, p := b.number("vcpus", loud)
	if p == given {
		b.vcpus = v
	}
	if !b.before(4, 22) {
		p = given
		b.vcpus = max(b.vcpus, 1)
	}
	if p == given {
		if n := int32(b.vcpus); n < 0 || b.vcpus > maxVCPUs {
			return fatal(CodeValue, "Unable to allocate cpumap\n")
		}
		info.AvailVCPUs = NewBitmap(int(b.vcpus))
		for i := range int(b.vcpus) {
			info.AvailVCPUs.Add(i)
		}
	}
	b.setInt("maxvcpus", &info.MaxVCPUs)
	if v, p := b.text("vuart", loud); p == given {
		if !fromText(v, &info.ArchARM.VUART) {
			return fatal(CodeValue, "ERROR: invalid value \"%s\" for \"vuart\"\n", v)
		}
	}
	return nil
}

func (b *builder) vcpuLimits() error {
	info := &b.spec.BInfo
	if !info.MaxMem.IsSet() {
		info.MaxMem = info.TargetMem
	}
	if info.MaxVCPUs == 0 {
		info.MaxVCPUs = int(int32(b.vcpus))
	}
	if int64(info.MaxVCPUs) < b.vcpus {
		return fatal(CodeConflict, "xl: maxvcpus < vcpus\n")
	}
	return nil
}

func (b *builder) affinity() error {
	info := &b.spec.BInfo
	hard, err := b.affinityOf("cpus", true)
	if err != nil {
		return err
	}
	info.VCPUHardAffinity = hard
	info.VCPUSoftAffinity, err = b.affinityOf("cpus_soft", false)
	return err
}

// affinityOf reads a CPU list for all vcpus, or a list of such for each of them.
func (b *builder) affinityOf(key string, hard bool) ([]Bitmap, error) {
	info := &b.spec.BInfo
	if items, p := b.list(key, quiet); p == given {
		info.NUMAPlacement = False
		maps := make([]Bitmap, max(min(len(items), info.MaxVCPUs), 0))
		for i := range maps {
			if items[i].isList {
				break
			}
			m, err := b.cpus(items[i].text)
			if err != nil {
				return nil, err
			}
			maps[i] = m
		}
		return maps, nil
	}
	text, p := b.text(key, loud)
	if p != given {
		return nil, nil
	}
	m, err := b.cpus(text)
	if err != nil {
		return nil, err
	}
	if !hard {
		info.NUMAPlacement = False
	}
	if info.MaxVCPUs > maxVCPUs {
		return nil, fatal(CodeValue, "Unable to allocate cpumap for vcpu %d\n", maxVCPUs)
	}
	if info.MaxVCPUs <= 0 {
		b.ignored(key, "it has no effect without vcpus= or maxvcpus= in Xen "+b.opts.Release.orNewest().String())
	}
	maps := make([]Bitmap, max(info.MaxVCPUs, 0))
	for i := range maps {
		maps[i] = append(Bitmap(nil), m...)
	}
	return maps, nil
}

func (b *builder) cpus(text string) (Bitmap, error) {
	m := NewBitmap(b.opts.Host.maxCPUs())
	return m, addCPUs(m, text, b.opts.Host)
}

// grants reads the limits of the grant table. xl says nothing about a bad value.
func (b *builder) grants() error {
	info := &b.spec.BInfo
	type limit struct {
		key  string
		conf Opt[uint32]
		set  func(uint32)
	}
	limits := []limit{
		{"max_grant_frames", b.conf.MaxGrantFrames, func(v uint32) { info.MaxGrantFrames = Some(v) }},
		{"max_maptrack_frames", b.conf.MaxMaptrackFrames, func(v uint32) { info.MaxMaptrackFrames = Some(v) }},
	}
	if !b.before(4, 16) {
		limits = append(limits, limit{"max_grant_version", b.conf.MaxGrantVersion, func(v uint32) { info.MaxGrantVersion = Some(int(v)) }})
	}
	for _, l := range limits {
		v, p, why := b.bounded(l.key, 0, math.MaxInt32, quiet)
		switch {
		case p == given:
			l.set(uint32(v))
		case p == unusable:
			return &Error{Exit: 1, Problems: []Problem{{Code: CodeValue, Msg: l.key + ": " + why}}}
		case l.conf.IsSet():
			l.set(l.conf.Value())
		}
	}
	info.ClaimMode = Bool(b.conf.ClaimMode)
	return nil
}
