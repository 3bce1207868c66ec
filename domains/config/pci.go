package config

import "strings"

// errorInval and errorFail are libxl's error numbers; xl exits with them.
const (
	errorFail  = 3 // ERROR_FAIL
	errorInval = 6 // ERROR_INVAL
)

// allFuncs is LIBXL_PCI_FUNC_ALL.
const allFuncs = 1<<32 - 1

// ParsePCI reads the description of a PCI device, such as "0000:03:10.2@8" or
// "name=net0,permissive=1". dev holds what is not said in it. Names and bdf= are
// known since 4.15; before that, an unknown setting is no more than a warning. The
// error is an *Error with xl's exit status.
func ParsePCI(spec string, dev PCIDev, rel Release) (PCIDev, []Warning, error) {
	var e *Error
	var warnings []Warning
	if rel.Before(4, 15) {
		warnings, e = parsePCIOld(&dev, spec)
	} else {
		e = parsePCI(&dev, spec)
	}
	if e != nil {
		return dev, warnings, e
	}
	return dev, warnings, nil
}

// pciError is an error with a text that may be empty and has no newline.
func pciError(exit int, text, why string) *Error {
	return &Error{Exit: exit, Problems: []Problem{{Code: CodePCI, Msg: why, Text: text}}}
}

func parsePCI(dev *PCIDev, spec string) *Error {
	bad := pciError(errorInval, "", "PCI device `"+spec+"': want [DDDD:]BB:DD.F[@SLOT][,key=value] or name=NAME[,key=value]")
	rest, haveBDF := parseBDF(dev, spec)
	if haveBDF {
		if after, at := strings.CutPrefix(rest, "@"); at {
			var ok bool
			if rest, ok = parseVSlot(dev, after); !ok {
				return pciError(errorInval, "", "PCI device `"+spec+"': the virtual slot must be a hexadecimal number up to 1f")
			}
		}
		var comma bool
		if rest, comma = strings.CutPrefix(rest, ","); !comma && rest != "" {
			return bad
		}
	} else {
		rest = spec
	}
	haveName := false
	for rest != "" {
		key, val, ok := strings.Cut(rest, "=")
		if !ok {
			return bad
		}
		val, rest, _ = strings.Cut(val, ",")
		switch key {
		case "bdf":
			if _, ok := parseBDF(dev, val); !ok {
				return bad
			}
			haveBDF = true
		case "name":
			dev.Name, haveName = Some(val), true
		case "vslot":
			if _, ok := parseVSlot(dev, val); !ok {
				return bad
			}
		case "rdm_policy":
			if !fromText(val, &dev.RDMPolicy) {
				return pciError(errorFail, "Unknown RDM policy: "+val, "PCI device `"+spec+"': unknown RDM policy `"+val+"': strict or relaxed")
			}
		default:
			if !setPCIFlag(dev, key, val) {
				return pciError(errorInval, "Unknown PCI_SPEC_STRING option: "+key, "PCI device `"+spec+"': unknown setting `"+key+"'")
			}
		}
	}
	if haveBDF == haveName {
		return pciError(errorInval, "", "PCI device `"+spec+"': give either an address or a name")
	}
	return nil
}

func setPCIFlag(dev *PCIDev, key, val string) bool {
	on := atoi(val) != 0
	switch key {
	case "permissive":
		dev.Permissive = on
	case "msitranslate":
		dev.MSITranslate = on
	case "seize":
		dev.Seize = on
	case "power_mgmt":
		dev.PowerMgmt = on
	default:
		return false
	}
	return true
}

// parseBDF reads an address and returns what follows it. dev is only changed if
// the address is a good one, but for the mask of functions.
func parseBDF(dev *PCIDev, s string) (rest string, ok bool) {
	colons := 0
	for i := 0; i < len(s) && (digitOf(s[i]) < 16 || s[i] == ':'); i++ {
		if s[i] == ':' {
			colons++
		}
	}
	var nums [3]uint64 // domain, bus, device
	if colons != 1 && colons != 2 {
		return s, false
	}
	rest = s
	for i := 2 - colons; i < 3; i++ {
		var end bool
		if nums[i], rest, ok = scanUint(rest, 16); !ok {
			return s, false
		}
		if rest, end = strings.CutPrefix(rest, [...]string{":", ":", "."}[i]); !end {
			return s, false
		}
	}
	if nums[0] > 0xffff || nums[1] > 0xff || nums[2] > 0x1f {
		return s, false
	}
	var fn uint64
	if after, star := strings.CutPrefix(rest, "*"); star {
		dev.VFuncMask, rest = allFuncs, after
	} else {
		if fn, rest, ok = scanUint(rest, 16); !ok || fn > 7 {
			return s, false
		}
		dev.VFuncMask = 1
	}
	dev.Domain, dev.Bus, dev.Dev, dev.Func = int(nums[0]), uint8(nums[1]), uint8(nums[2]), uint8(fn)
	return rest, true
}

func parseVSlot(dev *PCIDev, s string) (rest string, ok bool) {
	v, rest, ok := scanUint(s, 16)
	if !ok || v > 0x1f {
		return s, false
	}
	dev.VDevFn = uint32(v) << 3
	return rest, true
}

// parsePCIOld reads the form that 4.14 knows: the address comes first, and a
// virtual slot may be up to ff.
func parsePCIOld(dev *PCIDev, spec string) ([]Warning, *Error) {
	bad := pciError(errorInval, "", "PCI device `"+spec+"': want [DDDD:]BB:DD.F[@SLOT][,key=value]")
	addr, opts, haveOpts := strings.Cut(spec, ",")
	if !parseOldAddress(dev, addr) {
		return nil, bad
	}
	if !haveOpts {
		return nil, nil
	}
	var warnings []Warning
	for _, opt := range strings.Split(opts, ",") {
		key, val, ok := strings.Cut(opt, "=")
		switch {
		case !ok:
			return warnings, bad
		case key == "rdm_policy":
			if val != "strict" && val != "relaxed" {
				return warnings, pciError(errorInval, val+" is not an valid PCI RDM property policy: 'strict' or 'relaxed'.", bad.Problems[0].Msg)
			}
			fromText(val, &dev.RDMPolicy)
		case !setPCIFlag(dev, key, val):
			warnings = append(warnings, Warning{Code: CodePCI, Msg: "PCI device: unknown setting `" + key + "'", Text: "Unknown PCI BDF option: " + key})
		}
	}
	return warnings, nil
}

func parseOldAddress(dev *PCIDev, addr string) bool {
	addr, slot, haveSlot := strings.Cut(addr, "@")
	nums, fn, dot := strings.Cut(addr, ".")
	parts := strings.Split(nums, ":")
	if !dot || len(parts) != 2 && len(parts) != 3 {
		return false
	}
	if len(parts) == 2 {
		parts = append([]string{"0"}, parts...)
	}
	if !haveSlot {
		slot = "0"
	}
	var v [4]uint64 // domain, bus, device, slot
	for i, text := range append(parts, slot) {
		n, rest, ok := scanUint(text, 16)
		if !ok || rest != "" || n > [...]uint64{0xffff, 0xff, 0xff, 0xff}[i] {
			return false
		}
		v[i] = n
	}
	dev.Domain, dev.Bus, dev.Dev, dev.VDevFn = int(v[0]), uint8(v[1]), uint8(v[2]), uint32(v[3])<<3
	if fn == "*" {
		dev.VFuncMask = allFuncs
		return true
	}
	n, rest, ok := scanUint(fn, 16)
	dev.VFuncMask, dev.Func = 1, uint8(n)
	return ok && rest == "" && n <= 7
}

// pci reads the PCI devices and what holds for all of them.
func (b *builder) pci() error {
	s := b.spec
	if pv := s.BInfo.PV; pv != nil {
		b.setBool("e820_host", &pv.E820Host)
	}
	var def PCIDev
	for _, f := range []struct {
		key string
		dst *bool
	}{
		{"pci_msitranslate", &def.MSITranslate},
		{"pci_power_mgmt", &def.PowerMgmt},
		{"pci_permissive", &def.Permissive},
		{"pci_seize", &def.Seize},
	} {
		if n, p := b.number(f.key, loud); p == given {
			*f.dst = int32(n) != 0
		}
	}
	// xl takes the policy from the part of an HVM guest, also where it is another
	// kind; what it finds there is the first of its values.
	def.RDMPolicy = RDMStrict
	if s.BInfo.HVM != nil {
		def.RDMPolicy = RDMPolicyUnset
	}
	b.rdm(&def)
	items, _ := b.texts("pci")
	for _, item := range items {
		dev, warnings, err := ParsePCI(item, def, b.opts.Release)
		b.warnings = append(b.warnings, warnings...)
		if err != nil {
			e := err.(*Error)
			what := "PCI_SPEC_STRING"
			if b.before(4, 15) {
				what = "PCI BDF"
			}
			e.Problems[0].Text += "unable to parse " + what + " `" + item + "' for passthrough\n"
			return e
		}
		s.PCIDevs = append(s.PCIDevs, dev)
	}
	if len(s.PCIDevs) > 0 && s.BInfo.PV != nil {
		s.BInfo.PV.E820Host = True
	}
	return nil
}

// rdm reads what to do about reserved device memory. From 4.15 on xl drops the
// whole setting if it names a known policy.
func (b *builder) rdm(def *PCIDev) {
	v, p := b.text("rdm", loud)
	if p != given {
		return
	}
	r, text, ok := parseRDM(v, b.before(4, 15))
	if text != "" {
		b.note(CodePCI, "%s", text)
	}
	if !ok {
		b.ignored("rdm", "Xen "+b.opts.Release.orNewest().String()+" does not take this value")
		return
	}
	def.RDMPolicy = r.Policy
	if h := b.spec.BInfo.HVM; h != nil {
		h.RDM = r
	}
}

func parseRDM(s string, old bool) (r RDMReserve, text string, ok bool) {
	for _, item := range strings.Split(s, ",") {
		key, val, found := strings.Cut(item, "=")
		switch {
		case !found:
			return r, "", false
		case key == "strategy":
			if val != "host" {
				return r, "Unknown RDM strategy option: " + val, false
			}
			r.Strategy = RDMHost
		case key == "policy":
			known := fromText(val, &r.Policy)
			if old && !known {
				return r, "Unknown RDM property policy value: " + val, false
			}
			if !old && !known {
				text += "Unknown RDM policy: " + val
			}
			if !old && known {
				return r, text, false
			}
		default:
			return r, "Unknown RDM state option: " + key, false
		}
	}
	return r, text, true
}
