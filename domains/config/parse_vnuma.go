package config

import "strings"

// vnuma reads the virtual NUMA nodes.
func (b *builder) vnuma() error {
	nodes, p := b.list("vnuma", quiet)
	if p != given || len(nodes) == 0 {
		return nil
	}
	info := &b.spec.BInfo
	room := b.opts.Host.maxCPUs()
	if info.MaxVCPUs > 0 {
		room = min(info.MaxVCPUs, maxVCPUs)
	}
	info.VNUMANodes = make([]VNode, len(nodes))
	var vcpus, mem uint64
	for i, node := range nodes {
		if !node.isList {
			return fatal(CodeType, "%s:%d:%d: warning: value is not a list\nxl: cannot get vnode config option list\n", b.file, node.line, 0)
		}
		v := &info.VNUMANodes[i]
		v.Distances = make([]uint32, len(nodes))
		v.VCPUs = NewBitmap(room)
		for _, opt := range node.list {
			if opt.isList {
				continue
			}
			n, m, err := b.vnodeOption(v, opt.text)
			if err != nil {
				return err
			}
			vcpus, mem = vcpus+n, mem+m
		}
	}
	return b.vnumaTotals(vcpus, mem)
}

// vnodeOption reads one setting of a node; it returns the vcpus and KiB it adds.
func (b *builder) vnodeOption(v *VNode, text string) (vcpus, mem uint64, err error) {
	key, val, ok := b.pair(text)
	if !ok {
		return 0, 0, fatal(CodeValue, "xl: failed to split \"%s\" into pair\n", text)
	}
	switch key {
	case "pnode":
		n, err := parseUlong(val)
		if err != nil {
			return 0, 0, err
		}
		if n >= uint64(b.opts.Host.maxNodes()) {
			return 0, 0, fatal(CodeValue, "xl: invalid pnode number: %d\n", n)
		}
		v.PNode = uint32(n)
		b.spec.BInfo.NUMAPlacement = False
	case "size":
		n, err := parseUlong(val)
		if err != nil {
			return 0, 0, err
		}
		v.Mem = memKB(n << 10)
		mem = n << 10
	case "vcpus":
		for _, item := range fields(val, ",") {
			// xl goes on with what it had after a bad range; we do not.
			first, last, ok := parseRange(item)
			if !ok {
				return 0, 0, fatal(CodeValue, "xl: invalid vcpu range in vnuma: %s\n", item)
			}
			for i := first; i <= min(last, maxVCPUs); i++ {
				if i < uint64(v.VCPUs.Cap()) {
					v.VCPUs.Add(int(i))
				}
				vcpus++
			}
		}
	case "vdistances":
		items := fields(val, ",")
		if len(items) > len(v.Distances) {
			return 0, 0, fatal(CodeValue, "xl: vnuma has %d nodes but %d distances\n", len(v.Distances), len(items))
		}
		for i, item := range items {
			n, err := parseUlong(item)
			if err != nil {
				return 0, 0, err
			}
			v.Distances[i] = uint32(n)
		}
	default:
		b.noteOurs(CodeUnknownKey, "vnuma: unknown setting `"+key+"'", "it is ignored")
	}
	return vcpus, mem, nil
}

func (b *builder) vnumaTotals(vcpus, mem uint64) error {
	info := &b.spec.BInfo
	if info.MaxVCPUs != 0 {
		if uint64(info.MaxVCPUs) != vcpus {
			return fatal(CodeConflict, "xl: vnuma vcpus and maxvcpus= mismatch\n")
		}
	} else {
		online := b.opts.Host.OnlineCPUs
		if online <= 0 {
			online = b.opts.Host.maxCPUs()
		}
		if uint64(online) < vcpus {
			return fatal(CodeConflict, "xl: vnuma specifies more vcpus than pcpus, use maxvcpus= to override this check.\n")
		}
		info.MaxVCPUs = int(vcpus)
	}
	if v, ok := info.MaxMem.Get(); ok && uint64(v) != mem {
		return fatal(CodeConflict, "xl: maxmem and vnuma memory size mismatch\n")
	}
	info.MaxMem = memKB(mem)
	return nil
}

// pair splits "key=value" and trims both. Up to 4.17 further "=" end the value
// and leading ones are skipped.
func (b *builder) pair(s string) (key, val string, ok bool) {
	key, val, ok = rawPair(s, "=", b.before(4, 18))
	return trimSpace(key), trimSpace(val), ok
}

func rawPair(s, sep string, old bool) (key, val string, ok bool) {
	if old {
		parts := fields(s, sep)
		if len(parts) < 2 {
			return "", "", false
		}
		return parts[0], parts[1], true
	}
	key, val, ok = strings.Cut(s, sep)
	return key, val, ok && val != ""
}

func trimSpace(s string) string { return strings.Trim(s, " \t\n\v\f\r") }

// parseUlong reads a number as xl's parse_ulong does: what follows the digits
// does not matter.
func parseUlong(s string) (uint64, error) {
	v, _, ok := scanUint(s, 10)
	if !ok || v == 1<<64-1 {
		return 0, fatal(CodeValue, "xl: failed to convert \"%s\" to number\n", s)
	}
	return v, nil
}
