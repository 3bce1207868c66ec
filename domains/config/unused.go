package config

import "strings"

// keysOf are the keys that not every guest has a use for, by the reason.
var keysOf = map[string]string{
	"it is for HVM guests only": "acpi_firmware acpi_laptop_slate acpi_s3 acpi_s4 altp2mhvm apic bios bios_path_override boot " +
		"firmware_override gfx_passthru hdtype hpet hvm_pirq keymap mca_caps mmio_hole ms_vm_genid nographic nx " +
		"pae rdm_mem_boundary serial smbios smbios_firmware soundhw spice spice_clipboard_sharing " +
		"spice_image_compression spice_streaming_video spiceagent_mouse spicedisable_ticketing spicehost " +
		"spicepasswd spiceport spicetls_port spiceusbredirection spicevdagent stdvga usb usbdevice usbversion " +
		"vendor_device vga viridian vkb_device vpt_align xen_platform_pci xen_platform_pci_bar_uc",
	"it is for PVH guests only": "pvshim pvshim_cmdline pvshim_extra pvshim_path",
	"it is for PV guests only":  "e820_host",
	"it needs vnc=1":            "display opengl sdl vncdisplay vnclisten vncpasswd vncunused xauthority",
}

// keysSince are the keys that came after the oldest release.
var keysSince = map[string]Release{
	"altp2m_count": {4, 21}, "arm_sci": {4, 21}, "bootloader_restrict": {4, 18}, "bootloader_user": {4, 18},
	"hvm_pirq": {4, 19}, "llc_colors": {4, 20}, "max_grant_version": {4, 16}, "msr_relaxed": {4, 15},
	"nr_spis": {4, 19}, "smbios": {4, 18}, "stubdomain_cmdline": {4, 16}, "sve": {4, 18},
	"trap_unmapped_accesses": {4, 21}, "virtio": {4, 18}, "vmtrace_buf_kb": {4, 15}, "vpmu": {4, 16},
	"xen_platform_pci_bar_uc": {4, 21}, "xenstore_feature_mask": {4, 21}, "xenstore_quota": {4, 22},
}

// keysOfAll are the keys that every guest has a use for.
const keysOfAll = "acpi altp2m bootloader bootloader_args builder cap channel cmdline cpu_weight cpuid cpus cpus_soft " +
	"device_model device_model_args device_model_args_hvm device_model_args_pv device_model_override " +
	"device_model_stubdomain_override device_model_stubdomain_seclabel device_model_user device_model_version " +
	"device_tree disk dm_restrict driver_domain dtdev extra extratime firmware gic_version hap init_seclabel " +
	"iomem ioports irqs kernel latency localtime max_event_channels max_grant_frames max_maptrack_frames maxmem " +
	"maxvcpus memory name nestedhvm nomigrate on_crash on_poweroff on_reboot on_soft_reset on_watchdog oos p9 " +
	"passthrough pci pci_msitranslate pci_permissive pci_power_mgmt pci_seize period pool pvcalls ramdisk rdm root " +
	"rtc_timeoffset seclabel shadow_memory slice stubdomain_kernel stubdomain_memory stubdomain_ramdisk tee " +
	"timer_mode tsc_mode type usbctrl usbdev uuid vcpus vdispl vfb videoram vif vif2 vkb vnc vncviewer vnuma vsnd " +
	"vtpm vuart xend_suspend_evtchn_compat"

// knownKeys returns every key that some release knows.
func knownKeys() []string {
	keys := strings.Fields(keysOfAll)
	for _, list := range keysOf {
		keys = append(keys, strings.Fields(list)...)
	}
	for key := range keysSince {
		keys = append(keys, key)
	}
	return keys
}

// noteUnused warns about every key that had no effect. xl has no word for it.
func (b *builder) noteUnused(order []*setting) {
	for _, set := range order {
		if b.byName[set.name] != set || set.used {
			continue // replaced by a later one, or not in vain
		}
		w := Warning{File: b.file, Line: set.line, Column: set.column, Code: CodeUnusedKey}
		w.Msg, w.Hint = "`"+set.name+"' has no effect", b.whyUnused(set)
		if w.Hint == "" {
			w.Code = CodeUnknownKey
			w.Msg, w.Hint = "`"+set.name+"' is not a known key", didYouMean(set.name, knownKeys())
		}
		b.warnings = append(b.warnings, w)
	}
}

func (b *builder) whyUnused(set *setting) string {
	if set.why != "" {
		return set.why
	}
	if since, ok := keysSince[set.name]; ok && b.before(since.Major, since.Minor) {
		return "it is known since Xen " + since.String()
	}
	for why, list := range keysOf {
		if indexOf(strings.Fields(list), set.name) >= 0 {
			return why
		}
	}
	return ""
}

// didYouMean returns a hint with the nearest of the candidates, or "".
func didYouMean(word string, candidates []string) string {
	best, near := "", max(len(word)/3, 1)+1
	for _, c := range candidates {
		if d := distance(word, c); d < near || d == near && best != "" && c < best {
			best, near = c, d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean `" + best + "'?"
}

// distance returns how many letters must be put in, taken out or changed, or
// swapped with their neighbour, to make b of a.
func distance(a, b string) int {
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		prev, cur, before := rows[(i-1)%3], rows[i%3], rows[(i+1)%3]
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
	}
	return rows[len(a)%3][len(b)]
}
