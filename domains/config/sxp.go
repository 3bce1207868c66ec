package config

import (
	"fmt"

	"goxl/xenctrl/abi"
)

// SXPFacts is what the old text form has of a running guest.
type SXPFacts struct {
	UUID abi.UUID // zero: the guest is not there
}

// AppendSXP appends the S-expression that xl prints with output_format="sxp". The
// domid is -1 for a guest that is only asked for. PVH guests have no such form:
// what comes before that is noticed is appended, and an *[Error] returned.
//
// Source: tools/xl/xl_sxp.c; the form does not grow any more.
func (s *Spec) AppendSXP(b []byte, domid int, facts SXPFacts) ([]byte, error) {
	w := sxpWriter{b}
	c, info := &s.CInfo, &s.BInfo
	w.line("(domain\n\t(domid %d)", domid)
	w.line("\t(create_info)\n\t(hvm %d)", flag01(c.Type == TypeHVM))
	w.line("\t(hap %s)\n\t(oos %s)\n\t(ssidref %d)\n\t(name %s)", c.HAP, c.OOS, int32(c.SSIDRef), cText(c.Name))
	if facts.UUID.IsZero() {
		w.line("\t(uuid <unknown>)")
	} else {
		w.line("\t(uuid %s)", facts.UUID)
	}
	if c.PoolName.IsSet() {
		w.line("\t(cpupool %s)", c.PoolName)
	}
	w.line("\t(xsdata %s)\n\t(platformdata %s)", dataText(c.XSData), dataText(c.PlatformData))
	w.line("\t(build_info)\n\t(max_vcpus %d)", info.MaxVCPUs)
	w.line("\t(max_grant_frames %d)", int32(info.MaxGrantFrames.Or(1<<32-1)))
	w.line("\t(max_maptrack_frames %d)", int32(info.MaxMaptrackFrames.Or(1<<32-1)))
	w.line("\t(tsc_mode %s)", info.TSCMode)
	w.line("\t(max_memkb %d)\n\t(target_memkb %d)", cMem(info.MaxMem), cMem(info.TargetMem))
	w.line("\t(nomigrate %s)", info.DisableMigrate)
	if c.Type == TypePV && info.Bootloader.IsSet() {
		w.bootloader(info)
	}
	w.line("\t(image")
	switch c.Type {
	case TypeHVM:
		w.hvm(info)
	case TypePV:
		w.line("\t\t(linux 0)\n\t\t\t(kernel %s)\n\t\t\t(cmdline %s)", cText(info.Kernel), cText(info.Cmdline))
		w.line("\t\t\t(ramdisk %s)\n\t\t\t(e820_host %s)\n\t\t)", cText(info.Ramdisk), info.PV.E820Host)
	default:
		return w.b, fatal(CodeValue, "Unknown domain type %d\n", int(c.Type))
	}
	w.line("\t)")
	w.devices(s, domid)
	w.line(")")
	return w.b, nil
}

type sxpWriter struct{ b []byte }

func (w *sxpWriter) line(format string, args ...any) { w.b = fmt.Appendf(w.b, format+"\n", args...) }

func flag01(b bool) int {
	if b {
		return 1
	}
	return 0
}

// cText is what C prints for a text that may be absent.
func cText(s Opt[string]) string { return s.Or("(null)") }

// cMem is what C prints for an amount of memory that may be absent.
func cMem(m MemKB) int64 { return int64(m.Or(1<<64 - 1)) }

func dataText(kv KeyValues) string {
	if len(kv) > 0 {
		return "contains data"
	}
	return "(null)"
}

func (w *sxpWriter) bootloader(info *BuildInfo) {
	w.line("\t(bootloader %s)", info.Bootloader)
	if len(info.BootloaderArgs) == 0 {
		return
	}
	w.b = append(w.b, "\t(bootloader_args"...)
	for _, arg := range info.BootloaderArgs {
		w.b = append(w.b, " "+arg...)
	}
	w.line(")")
}

func (w *sxpWriter) hvm(info *BuildInfo) {
	h := info.HVM
	stdvga := "False"
	if h.VGA.Kind == VGAStd {
		stdvga = "True"
	}
	w.line("\t\t(hvm")
	for _, p := range []struct {
		name string
		val  any
	}{
		{"firmware", cText(h.Firmware)}, {"video_memkb", cMem(info.VideoMem)}, {"shadow_memkb", cMem(info.ShadowMem)},
		{"pae", h.PAE}, {"apic", info.APIC}, {"acpi", h.ACPI}, {"nx", h.NX}, {"viridian", h.Viridian},
		{"hpet", h.HPET}, {"vpt_align", h.VPTAlign}, {"timer_mode", info.TimerMode},
		{"nestedhvm", info.NestedHVM}, {"stdvga", stdvga}, {"vnc", h.VNC.Enable},
		{"vnclisten", cText(h.VNC.Listen)}, {"vncdisplay", h.VNC.Display}, {"vncunused", h.VNC.FindUnused},
		{"keymap", cText(h.Keymap)}, {"sdl", h.SDL.Enable}, {"opengl", h.SDL.OpenGL}, {"nographic", h.NoGraphic},
		{"spice", h.Spice.Enable}, {"spiceport", h.Spice.Port}, {"spicetls_port", h.Spice.TLSPort},
		{"spicehost", cText(h.Spice.Host)}, {"spicedisable_ticketing", h.Spice.DisableTicketing},
		{"spiceagent_mouse", h.Spice.AgentMouse}, {"device_model", info.DeviceModel.Or("default")},
		{"gfx_passthru", h.GfxPassthru}, {"serial", cText(h.Serial)}, {"boot", cText(h.Boot)},
		{"usb", h.USB}, {"usbdevice", cText(h.USBDevice)}, {"vkb_device", h.VKBDevice},
	} {
		w.line("\t\t\t(%s %v)", p.name, p.val)
	}
	w.line("\t\t)")
}

func (w *sxpWriter) devices(s *Spec, domid int) {
	device := func(kind string, body func()) {
		w.line("\t(device\n\t\t(%s", kind)
		body()
		w.line("\t\t)\n\t)")
	}
	ends := func(backend Backend) {
		w.line("\t\t\t(backend_domid %d)\n\t\t\t(frontend_domid %d)", backend.DomID, domid)
	}
	for _, d := range s.Disks {
		device("tap", func() {
			ends(d.Backend)
			w.line("\t\t\t(physpath %s)\n\t\t\t(phystype %d)\n\t\t\t(virtpath %s)", cText(d.Path), int(d.BackendType), cText(d.VDev))
			w.line("\t\t\t(unpluggable %d)\n\t\t\t(readwrite %d)\n\t\t\t(is_cdrom %d)", d.Removable, d.ReadWrite, d.IsCDROM)
		})
	}
	for _, n := range s.NICs {
		device("vif", func() {
			if n.IfName.IsSet() {
				w.line("\t\t\t(vifname %s)", n.IfName)
			}
			ends(n.Backend)
			w.line("\t\t\t(devid %d)\n\t\t\t(mtu %d)\n\t\t\t(model %s)\n\t\t\t(mac %x)", n.DevID.Or(-1), n.MTU, cText(n.Model), n.MAC[:])
		})
	}
	for _, p := range s.PCIDevs {
		device("pci", func() {
			w.line("\t\t\t(pci dev %04x:%02x:%02x.%01x@%02x)", p.Domain, p.Bus, p.Dev, p.Func, p.VDevFn)
			w.line("\t\t\t(opts msitranslate %d power_mgmt %d)", flag01(p.MSITranslate), flag01(p.PowerMgmt))
		})
	}
	for _, f := range s.VFBs {
		device("vfb", func() {
			ends(f.Backend)
			w.line("\t\t\t(devid %d)\n\t\t\t(vnc %s)\n\t\t\t(vnclisten %s)", f.DevID.Or(-1), f.VNC.Enable, cText(f.VNC.Listen))
			w.line("\t\t\t(vncdisplay %d)\n\t\t\t(vncunused %s)\n\t\t\t(keymap %s)", f.VNC.Display, f.VNC.FindUnused, cText(f.Keymap))
			w.line("\t\t\t(sdl %s)\n\t\t\t(opengl %s)", f.SDL.Enable, f.SDL.OpenGL)
			w.line("\t\t\t(display %s)\n\t\t\t(xauthority %s)", cText(f.SDL.Display), cText(f.SDL.XAuthority))
		})
	}
}
