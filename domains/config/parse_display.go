package config

import "strings"

// deviceModel reads which QEMU to run, and how.
func (b *builder) deviceModel() error {
	info := &b.spec.BInfo
	if v, p := b.text("device_model", loud); p == given {
		b.note(CodeDeprecated, "WARNING: ignoring device_model directive.\n"+
			"WARNING: Use \"device_model_override\" instead if you really want a non-default device_model\n")
		if strings.Contains(v, "stubdom-dm") {
			if info.Type == TypeHVM {
				b.note(CodeDeprecated, "WARNING: Or use \"device_model_stubdomain_override\" if you  want to enable stubdomains\n")
			} else {
				b.note(CodeDeprecated, "WARNING: ignoring \"device_model_stubdomain_override\" directive for pv guest\n")
			}
		}
	}
	b.setText("device_model_override", &info.DeviceModel)
	if v, p := b.text("device_model_version", loud); p == given {
		switch {
		case v == "qemu-xen":
			info.DeviceModelVersion = DMQEMUXen
		case v == "qemu-xen-traditional" && b.before(4, 21):
			info.DeviceModelVersion = DMQEMUXenTraditional
		default:
			return fatal(CodeValue, "Unknown device_model_version \"%s\" specified\n", v)
		}
	} else if info.DeviceModel.IsSet() {
		b.note(CodeMissing, "WARNING: device model override given without specific DM version\n")
	}
	b.setBool("device_model_stubdomain_override", &info.DeviceModelStubdom)
	b.setText("device_model_stubdomain_seclabel", &info.DeviceModelSSIDLabel)
	b.setText("device_model_user", &info.DeviceModelUser)
	b.setText("stubdomain_kernel", &info.StubdomKernel)
	if !b.before(4, 16) {
		b.setText("stubdomain_cmdline", &info.StubdomCmdline)
	}
	b.setText("stubdomain_ramdisk", &info.StubdomRamdisk)
	b.setMiB("stubdomain_memory", &info.StubdomMem)
	for _, a := range []struct {
		key string
		dst *[]string
	}{
		{"device_model_args", &info.Extra},
		{"device_model_args_pv", &info.ExtraPV},
		{"device_model_args_hvm", &info.ExtraHVM},
	} {
		items, p := b.list(a.key, loud)
		if p == unusable {
			return fatalExit(3, CodeType, "xl: Unable to parse %s.\n", a.key)
		}
		*a.dst = textsOf(items)
	}
	return nil
}

// display reads the top-level settings of VNC and SDL. For a PV guest they make
// a framebuffer, unless it has one already; for PVH they do nothing.
func (b *builder) display() error {
	s := b.spec
	switch {
	case s.CInfo.Type == TypePV && len(s.VFBs) == 0:
		if v, p := b.number("vnc", loud); p != given || v == 0 {
			break
		}
		fb := VFB{DevID: Some(0)}
		b.vnc(&fb.VNC)
		b.sdl(&fb.SDL)
		b.setText("keymap", &fb.Keymap)
		s.VFBs = append(s.VFBs, fb)
		s.VKBs = append(s.VKBs, VKB{DevID: Some(len(s.VKBs))})
	case s.BInfo.HVM != nil:
		b.vnc(&s.BInfo.HVM.VNC)
		b.sdl(&s.BInfo.HVM.SDL)
	default:
		b.vnc(new(VNC))
		b.sdl(new(SDL))
		why := "PVH guests have no display"
		if s.CInfo.Type == TypePV {
			why = "vfb= is there too, and wins"
		}
		for _, key := range []string{"vnc", "vnclisten", "vncpasswd", "vncdisplay", "vncunused", "sdl", "opengl", "display", "xauthority"} {
			b.ignored(key, why)
		}
	}
	b.setBool("dm_restrict", &s.BInfo.DMRestrict)
	return nil
}

func (b *builder) vnc(v *VNC) {
	b.setBool("vnc", &v.Enable)
	b.setText("vnclisten", &v.Listen)
	b.setText("vncpasswd", &v.Passwd)
	b.setInt("vncdisplay", &v.Display)
	b.setBool("vncunused", &v.FindUnused)
}

func (b *builder) sdl(s *SDL) {
	b.setBool("sdl", &s.Enable)
	b.setBool("opengl", &s.OpenGL)
	b.setText("display", &s.Display)
	b.setText("xauthority", &s.XAuthority)
}

// vgaNames are the texts of vga=, by VGAKind.
var vgaNames = []string{"", "cirrus", "stdvga", "none", "qxl"}

// hvmDevices reads the emulated devices of an HVM guest.
func (b *builder) hvmDevices() error {
	h := b.spec.BInfo.HVM
	if h == nil {
		return nil
	}
	if v, p := b.text("vga", loud); p == given {
		i := indexOf(vgaNames, v)
		if i <= 0 {
			return fatal(CodeValue, "Unknown vga \"%s\" specified\n", v)
		}
		h.VGA.Kind = VGAKind(i)
	} else if n, p := b.number("stdvga", loud); p == given {
		h.VGA.Kind = VGACirrus
		if n != 0 {
			h.VGA.Kind = VGAStd
		}
	}
	if v, p := b.text("hdtype", loud); p == given && !fromText(v, &h.HDType) {
		return fatal(CodeValue, "ERROR: invalid value \"%s\" for \"hdtype\"\n", v)
	}
	b.setText("keymap", &h.Keymap)
	b.spice(&h.Spice)
	b.setBool("nographic", &h.NoGraphic)
	if n, p := b.number("gfx_passthru", quiet); p == given {
		h.GfxPassthru = Bool(n != 0)
	} else if v, p := b.text("gfx_passthru", loud); p == given {
		if !fromText(v, &h.GfxPassthruKind) {
			return fatal(CodeValue, "ERROR: invalid value \"%s\" for \"gfx_passthru\"\n", v)
		}
		h.GfxPassthru = True
	}
	b.textOrList("serial", &h.Serial, &h.SerialList)
	b.setText("boot", &h.Boot)
	b.setBool("usb", &h.USB)
	b.setInt("usbversion", &h.USBVersion)
	b.textOrList("usbdevice", &h.USBDevice, &h.USBDeviceList)
	b.setBool("vkb_device", &h.VKBDevice)
	b.setText("soundhw", &h.SoundHW)
	b.setBool("xen_platform_pci", &h.XenPlatformPCI)
	if !b.before(4, 21) {
		b.setBool("xen_platform_pci_bar_uc", &h.XenPlatformUC)
	}
	if h.VNC.Display != 0 && strings.Contains(h.VNC.Listen.Value(), ":") {
		return fatal(CodeConflict, "ERROR: Display specified both in vnclisten and vncdisplay!\n")
	}
	if v, p := b.text("vendor_device", loud); p == given && !fromText(v, &h.VendorDevice) {
		return fatalExit(3, CodeValue, "xl: unknown vendor_device '%s'\n", v)
	}
	return nil
}

func (b *builder) textOrList(key string, text *Opt[string], list *[]string) {
	items, p := b.list(key, quiet)
	switch p {
	case given:
		*list = textsOf(items)
	case unusable:
		b.setText(key, text)
	}
}

func (b *builder) spice(s *Spice) {
	b.setBool("spice", &s.Enable)
	b.setInt("spiceport", &s.Port)
	b.setInt("spicetls_port", &s.TLSPort)
	b.setText("spicehost", &s.Host)
	b.setBool("spicedisable_ticketing", &s.DisableTicketing)
	b.setText("spicepasswd", &s.Passwd)
	b.setBool("spiceagent_mouse", &s.AgentMouse)
	b.setBool("spicevdagent", &s.VDAgent)
	b.setBool("spice_clipboard_sharing", &s.ClipboardSharing)
	b.setInt("spiceusbredirection", &s.USBRedirection)
	b.setText("spice_image_compression", &s.ImageCompression)
	b.setText("spice_streaming_video", &s.StreamingVideo)
}

// arm reads what only Arm guests have; on x86 it is carried and has no effect.
func (b *builder) arm() error {
	a, info := &b.spec.BInfo.ArchARM, &b.spec.BInfo
	if v, p := b.text("gic_version", quiet); p == given && !fromText(v, &a.GICVersion) {
		return fatalExit(3, CodeValue, "Unknown gic_version \"%s\" specified\n", v)
	}
	if v, p := b.text("tee", quiet); p == given {
		if !fromText(v, &info.TEE) || info.TEE == TEEFFA && b.before(4, 18) {
			return fatalExit(3, CodeValue, "Unknown tee \"%s\" specified\n", v)
		}
	}
	if !b.before(4, 18) {
		if v, p := b.text("sve", quiet); p == given && !fromText(v, &a.SVE) {
			return fatal(CodeValue, "Unknown sve \"%s\" specified\n", v)
		}
	}
	if !b.before(4, 19) {
		if n, p := b.number("nr_spis", loud); p == given {
			a.NrSPIs = optUint32(uint32(n))
		}
	}
	if b.before(4, 21) {
		return nil
	}
	b.setBool("trap_unmapped_accesses", &info.TrapUnmappedAccesses)
	if v, p := b.text("arm_sci", quiet); p == given {
		for _, item := range fields(v, ",") {
			if t, ok := strings.CutPrefix(item, "type="); ok && !fromText(t, &a.SCI.Type) {
				return fatal(CodeValue, "Unknown ARM_SCI type: %s\n", t)
			}
		}
	}
	return nil
}

// x86 reads what is left for the end.
func (b *builder) x86() error {
	b.setBool("xend_suspend_evtchn_compat", &b.spec.CInfo.XendSuspendEvtchnCompat)
	if !b.before(4, 15) && b.setBool("msr_relaxed", &b.spec.BInfo.ArchX86.MSRRelaxed) {
		b.note(CodeDeprecated, "WARNING: msr_relaxed will be removed in future versions.\n"+
			"If it fixes an issue you are having please report to xen-devel@lists.xenproject.org.\n")
	}
	if !b.before(4, 16) {
		b.setBool("vpmu", &b.spec.BInfo.VPMU)
	}
	return nil
}
