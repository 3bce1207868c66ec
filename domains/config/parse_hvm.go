package config

import (
	"path"
	"strings"
)

// hvm reads the firmware and platform of an HVM guest.
func (b *builder) hvm() error {
	info, h := &b.spec.BInfo, b.spec.BInfo.HVM
	if path.Base(info.Kernel.Value()) == "hvmloader" {
		b.note(CodeDeprecated, "WARNING: you seem to be using \"kernel\" directive to override HVM guest firmware. Ignore "+
			"that. Use \"firmware_override\" instead if you really want a non-default firmware\n")
		info.Kernel = Opt[string]{}
	}
	b.setText("firmware_override", &h.Firmware)
	b.setText("bios_path_override", &h.SystemFirmware)
	if v, p := b.text("bios", loud); p == given {
		if !fromText(v, &h.BIOS) {
			return fatal(CodeValue, "ERROR: invalid value \"%s\" for \"bios\"\n", v)
		}
	} else if h.SystemFirmware.IsSet() {
		b.note(CodeMissing, "WARNING: bios_path_override given without specific bios name\n")
	}
	b.setBool("pae", &h.PAE)
	b.setBool("acpi_s3", &h.ACPIS3)
	b.setBool("acpi_s4", &h.ACPIS4)
	b.setBool("acpi_laptop_slate", &h.ACPILaptopSlate)
	b.setBool("nx", &h.NX)
	b.setBool("hpet", &h.HPET)
	b.setBool("vpt_align", &h.VPTAlign)
	b.setBool("apic", &info.APIC)
	if !b.before(4, 19) {
		b.setBool("hvm_pirq", &h.PIRQ)
	}
	for _, step := range []func() error{b.viridian, b.mmioHole, b.smbios, b.genID, b.mcaCaps} {
		if err := step(); err != nil {
			return err
		}
	}
	b.firmware()
	return nil
}

// viridianNames are the groups of enlightenments; their numbers are those of
// libxl_viridian_enlightenment.
var viridianNames = []string{
	"base", "freq", "time_ref_count", "reference_tsc", "hcall_remote_tlb_flush", "apic_assist", "crash_ctl",
	"synic", "stimer", "hcall_ipi", "ex_processor_masks", "no_vp_limit", "cpu_hotplug",
}

// viridianWidth is LIBXL_BUILDINFO_HVM_VIRIDIAN_ENABLE_DISABLE_WIDTH.
const viridianWidth = 64

func (b *builder) viridian() error {
	h := b.spec.BInfo.HVM
	items, p := b.list("viridian", quiet)
	if p == unusable {
		if v, p := b.number("viridian", quiet); p == given {
			h.Viridian = Bool(v != 0)
		}
		return nil
	}
	names := viridianNames
	if b.before(4, 15) {
		names = names[:10]
	}
	if len(items) > 0 {
		h.ViridianEnable, h.ViridianDisable = NewBitmap(viridianWidth), NewBitmap(viridianWidth)
	}
	for _, item := range items {
		name, off := strings.CutPrefix(item.text, "!")
		switch item.text {
		case "all":
			h.ViridianEnable.Fill()
			continue
		case "defaults":
			h.Viridian = True
			continue
		}
		i := indexOf(names, strings.ToLower(name))
		if i < 0 || item.isList {
			return fatalExit(3, CodeValue, "xl: unknown viridian enlightenment '%s'\n", name)
		}
		set, reset := h.ViridianEnable, h.ViridianDisable
		if off {
			set, reset = reset, set
		}
		set.Add(i)
		reset.Remove(i)
	}
	return nil
}

func (b *builder) mmioHole() error {
	h := b.spec.BInfo.HVM
	if v, p := b.number("mmio_hole", loud); p == given {
		kib := uint64(v) * 1024
		if size := kib * 1024; size < 0x10000000 || size > 0xf0000000 {
			return fatal(CodeValue, "ERROR: invalid value %d for \"mmio_hole\"\n", v)
		}
		h.MMIOHoleMem = memKB(kib)
	}
	if b.setBool("altp2mhvm", &h.Altp2m) {
		b.note(CodeDeprecated, "WARNING: Specifying \"altp2mhvm\" is deprecated. Please use \"altp2m\" instead.\n")
	}
	b.setText("smbios_firmware", &h.SMBIOSFirmware)
	b.setText("acpi_firmware", &h.ACPIFirmware)
	return nil
}

func (b *builder) smbios() error {
	if b.before(4, 18) {
		return nil
	}
	items, p := b.list("smbios", loud)
	if p == unusable {
		return fatal(CodeType, "xl: Unable to parse smbios options.\n")
	}
	oem := 0
	for i, item := range items {
		if item.isList {
			return fatal(CodeType, "xl: Unable to get element #%d in smbios list\n", i)
		}
		key, val, ok := strings.Cut(item.text, "=")
		if !ok {
			return fatal(CodeValue, "xl: failed to split \"%s\" at '='\n", item.text)
		}
		if val == "" {
			return fatal(CodeValue, "xl: empty value not allowed for smbios \"%s=\"\n", key)
		}
		var t SMBIOSType
		if !fromText(key, &t) {
			return fatal(CodeValue, "xl: unknown smbios type '%s'\n", key)
		}
		if t == SMBIOSOEM {
			if oem++; oem > 99 {
				return fatal(CodeValue, "xl: smbios limited to 99 oem strings\n")
			}
		}
		b.spec.BInfo.HVM.SMBIOS = append(b.spec.BInfo.HVM.SMBIOS, SMBIOS{t, Some(val)})
	}
	return nil
}

func (b *builder) genID() error {
	h := b.spec.BInfo.HVM
	v, p := b.text("ms_vm_genid", loud)
	switch {
	case p == given && v == "generate":
		if b.opts.Rand != nil {
			if _, err := b.opts.Rand.Read(h.VMGenID[:]); err != nil {
				return fatal(CodeValue, "ERROR: failed to generate a VM Generation ID\n")
			}
		}
	case p == given && v != "none":
		return fatal(CodeValue, "ERROR: \"ms_vm_genid\" option must be \"generate\" or \"none\"\n")
	}
	b.setMiB("rdm_mem_boundary", &h.RDMMemBoundary)
	return nil
}

func (b *builder) mcaCaps() error {
	items, p := b.list("mca_caps", quiet)
	if p == unusable {
		return fatalExit(3, CodeType, "ERROR: unable to parse mca_caps.\n")
	}
	for _, item := range items {
		if item.text != "lmce" {
			return fatalExit(3, CodeValue, "ERROR: unrecognized MCA capability '%s'.\n", item.text)
		}
		b.spec.BInfo.HVM.MCACaps |= 1 // XEN_HVM_MCA_CAP_LMCE
	}
	return nil
}

// firmware reads the short form of bios and firmware_override.
func (b *builder) firmware() {
	h := b.spec.BInfo.HVM
	v, p := b.text("firmware", loud)
	if p != given || fromText(v, &h.BIOS) {
		return
	}
	switch {
	case strings.HasPrefix("uefi", v):
		h.BIOS = BIOSOVMF
	case !strings.HasPrefix("bios", v):
		h.Firmware = Some(v)
	}
}
