package config

import (
	"fmt"
	"strings"
)

// firmwareDir is where pvgrub lies, as Debian builds Xen.
const firmwareDir = "/usr/lib/xen-%s/boot"

// actionNames are the texts of on_poweroff and its like, by Action.
var actionNames = []string{
	"destroy", "restart", "rename-restart", "preserve", "coredump-destroy", "coredump-restart", "soft-reset",
}

// Name returns the text that xl.cfg and xl's log have for an action.
func (v Action) Name() string { return enumText(actionNames, int(v)) }

func (b *builder) actions() error {
	s := b.spec
	for _, a := range []struct {
		key string
		dst *Action
		def string
	}{
		{"on_poweroff", &s.OnPoweroff, "destroy"},
		{"on_reboot", &s.OnReboot, "restart"},
		{"on_watchdog", &s.OnWatchdog, "destroy"},
		{"on_crash", &s.OnCrash, "destroy"},
		{"on_soft_reset", &s.OnSoftReset, "soft-reset"},
	} {
		name, p := b.text(a.key, loud)
		if p != given {
			name = a.def
		}
		i := indexOf(actionNames, name)
		if i < 0 {
			return fatal(CodeValue, "Unknown %s action \"%s\" specified\n", a.key, name)
		}
		*a.dst = Action(i)
	}
	return nil
}

func indexOf(list []string, s string) int {
	for i, x := range list {
		if x == s {
			return i
		}
	}
	return -1
}

// fromText sets dst to the value with text s, in any case.
func fromText[E enum](s string, dst *E) bool {
	for i, text := range (*dst).texts() {
		if text != "" && strings.EqualFold(text, s) {
			*dst = E(i)
			return true
		}
	}
	return false
}

func (b *builder) pvhShim() error {
	info := &b.spec.BInfo
	info.setType(b.spec.CInfo.Type)
	if pvh := info.PVH; pvh != nil {
		b.setBool("pvshim", &pvh.PVShim)
		b.setText("pvshim_path", &pvh.PVShimPath)
		b.setText("pvshim_cmdline", &pvh.PVShimCmdline)
		b.setText("pvshim_extra", &pvh.PVShimExtra)
	}
	return nil
}

// platform reads what fits nowhere else and comes before the clock.
func (b *builder) platform() error {
	if v, p := b.text("passthrough", loud); p == given {
		if !fromText(v, &b.spec.CInfo.Passthrough) {
			return fatal(CodeValue, "ERROR: unknown passthrough option '%s'\n", v)
		}
	}
	b.setMiB("shadow_memory", &b.spec.BInfo.ShadowMem)
	b.setBool("nomigrate", &b.spec.BInfo.DisableMigrate)
	return nil
}

func (b *builder) tsc() error {
	info := &b.spec.BInfo
	if n, p := b.number("tsc_mode", quiet); p == given {
		b.noteNumbered("tsc_mode", info.TSCMode.texts(), n)
		if n < 0 || n > int64(TSCNativeParavirt) {
			return fatal(CodeValue, "ERROR: invalid value %d for \"tsc_mode\"\n", n)
		}
		info.TSCMode = TSCMode(n)
	} else if v, p := b.text("tsc_mode", loud); p == given {
		if b.before(4, 19) {
			b.note(CodeDeprecated, "got a tsc mode string: \"%s\"\n", v)
		}
		if !fromText(v, &info.TSCMode) {
			return fatal(CodeValue, "ERROR: invalid value \"%s\" for \"tsc_mode\"\n", v)
		}
	}
	return nil
}

// noteNumbered warns that key should be one of the texts, not a number.
func (b *builder) noteNumbered(key string, texts []string, n int64) {
	example := ""
	if n = int64(int32(n)); n >= 0 && n < int64(len(texts)) {
		example = fmt.Sprintf("e.g. %s=\"%s\"", key, texts[n])
	}
	b.note(CodeDeprecated, "WARNING: specifying \"%s\" as an integer is deprecated. "+
		"Please use the named parameter variant. %s\n", key, example)
}

func (b *builder) clock() error {
	info := &b.spec.BInfo
	b.setUint32("rtc_timeoffset", &info.RTCTimeOffset)
	if _, p := b.number("vncviewer", loud); p == given {
		b.note(CodeDeprecated, "WARNING: ignoring \"vncviewer\" option. "+
			"Use \"-V\" option of \"xl create\" to automatically spawn vncviewer.\n")
	}
	b.setBool("localtime", &info.LocalTime)
	b.setMiB("videoram", &info.VideoMem)
	b.setUint32("max_event_channels", &info.EventChannels)
	return nil
}

func (b *builder) boot() error {
	info := &b.spec.BInfo
	b.setText("kernel", &info.Kernel)
	b.setText("ramdisk", &info.Ramdisk)
	b.setText("device_tree", &info.DeviceTree)
	b.cmdline()
	b.setBool("driver_domain", &b.spec.CInfo.DriverDomain)
	b.setBool("acpi", &info.ACPI)
	return nil
}

func (b *builder) cmdline() {
	dst := &b.spec.BInfo.Cmdline
	cmdline, pc := b.text("cmdline", loud)
	root, pr := b.text("root", loud)
	extra, pe := b.text("extra", loud)
	switch {
	case pc == given:
		*dst = Some(cmdline)
		if pr == given || pe == given {
			b.note(CodeConflict, "Warning: ignoring root= and extra= in favour of cmdline=\n")
		}
	case pr == given && pe == given:
		*dst = Some("root=" + root + " " + extra)
	case pr == given:
		*dst = Some("root=" + root)
	case pe == given:
		*dst = Some(extra)
	}
}

func (b *builder) bootloader() error {
	info := &b.spec.BInfo
	b.setText("bootloader", &info.Bootloader)
	if !b.before(4, 18) {
		b.setBool("bootloader_restrict", &info.BootloaderRestrict)
		if d := b.conf.BootloaderRestrict; d != Default && info.BootloaderRestrict == Default {
			info.BootloaderRestrict = d
		}
		b.setText("bootloader_user", &info.BootloaderUser)
	}
	items, p := b.list("bootloader_args", quiet)
	if p == given {
		info.BootloaderArgs = textsOf(items)
	} else if v, p := b.text("bootloader_args", loud); p == given {
		b.note(CodeDeprecated, "WARNING: Specifying \"bootloader_args\""+
			" as a string is deprecated. Please use a list of arguments.\n")
		info.BootloaderArgs = fields(v, " \t\n")
	}
	return nil
}

func (b *builder) timer() error {
	info := &b.spec.BInfo
	notForPV := fatalExit(3, CodeConflict, "ERROR: \"timer_mode\" option is not supported for PV guests.\n")
	if n, p := b.number("timer_mode", quiet); p == given {
		if info.Type == TypePV {
			return notForPV
		}
		b.noteNumbered("timer_mode", info.TimerMode.texts(), n+1)
		if n < 0 || n > int64(TimerModeOneMissedTickPending)-1 {
			return fatal(CodeValue, "ERROR: invalid value %d for \"timer_mode\"\n", n)
		}
		info.TimerMode = TimerMode(n + 1)
	} else if v, p := b.text("timer_mode", loud); p == given {
		if info.Type == TypePV {
			return notForPV
		}
		if !fromText(v, &info.TimerMode) {
			return fatal(CodeValue, "ERROR: invalid value \"%s\" for \"timer_mode\"\n", v)
		}
	}
	b.setBool("nestedhvm", &info.NestedHVM)
	return nil
}

// hvmOrKernel reads what says where the guest's first instruction comes from.
func (b *builder) hvmOrKernel() error {
	if b.spec.BInfo.Type == TypeHVM {
		return b.hvm()
	}
	info := &b.spec.BInfo
	if v, p := b.text("firmware", loud); p == given {
		if info.Kernel.IsSet() {
			return fatal(CodeConflict, "ERROR: both kernel and firmware specified\n")
		}
		if !strings.HasPrefix("pvgrub32", v) && !strings.HasPrefix("pvgrub64", v) {
			return fatal(CodeValue, "ERROR: only pvgrub{32|64} supported as firmware options\n")
		}
		dir := fmt.Sprintf(firmwareDir, b.opts.Release.orNewest())
		info.Kernel = Some(dir + "/" + v + ".bin")
	}
	if !info.Bootloader.IsSet() && !info.Kernel.IsSet() {
		return fatal(CodeMissing, "Neither kernel nor bootloader specified\n")
	}
	return nil
}

func (b *builder) altp2m() error {
	info := &b.spec.BInfo
	if n, p := b.number("altp2m", quiet); p == given {
		if n < 0 || n > int64(Altp2mLimited) {
			return fatal(CodeValue, "ERROR: invalid value %d for \"altp2m\"\n", n)
		}
		info.Altp2m = Altp2mMode(n)
	} else if v, p := b.text("altp2m", loud); p == given {
		if !fromText(v, &info.Altp2m) {
			return fatal(CodeValue, "ERROR: invalid value \"%s\" for \"altp2m\"\n", v)
		}
	}
	if !b.before(4, 21) {
		if n, p := b.number("altp2m_count", quiet); p == given {
			if n != int64(uint16(n)) {
				return fatal(CodeValue, "ERROR: invalid value %d for \"altp2m_count\"\n", n)
			}
			info.Altp2mCount = Some(uint32(n))
		}
	}
	if !b.before(4, 15) {
		if n, p := b.number("vmtrace_buf_kb", quiet); p == given {
			info.VMTraceBufKB = int(int32(n))
		}
	}
	return nil
}

// xenstoreLimits reads what the guest may do in xenstore.
func (b *builder) xenstoreLimits() error {
	info := &b.spec.BInfo
	if b.before(4, 21) {
		return nil
	}
	if v, p := b.number("xenstore_feature_mask", loud); p == given {
		info.XenstoreFeatureMask = optUint32(uint32(v))
	}
	if b.before(4, 22) {
		return nil
	}
	items, p := b.list("xenstore_quota", loud)
	if p != given {
		return nil
	}
	for i, item := range items {
		if item.isList {
			return fatal(CodeType, "xl: Can't get element %d in Xenstore quota list\n", i)
		}
		name, val, ok := strings.Cut(item.text, "=")
		if !ok {
			return fatal(CodeValue, "Quota specification \"%s\" lacks \"=\".\n", item.text)
		}
		n, rest, ok := scanUint(val, 0)
		if !ok || rest != "" || uint64(uint32(n)) != n {
			return fatal(CodeValue, "Quota specification \"%s\" uses illegal value \"%s\".\n", item.text, val)
		}
		info.XenstoreQuota.Quota = append(info.XenstoreQuota.Quota, XSQuota{Some(name), uint32(n)})
	}
	return nil
}
