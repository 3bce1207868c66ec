package config

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"goxl/xenctrl/abi"
)

// featureWord is one word of a featureset: where its bits are in CPUID or in an
// MSR, and what they are called, from bit 0 up. A "." is a bit without a name,
// "@18" behind a name means that libxl knows it since 4.18.
type featureWord struct {
	leaf    uint32
	subleaf Opt[uint32]
	reg     int
	msr     uint32 // not 0: the bits are in this MSR, from bit on
	bit     int
	names   string
}

// featureWords are the words of a featureset in order.
// Source: xen/include/public/arch-x86/cpufeatureset.h of each stable branch.
var featureWords = []featureWord{
	{leaf: 0x1, reg: EDX, names: "" +
		"fpu vme de pse tsc msr pae mce cx8 apic . sep mtrr pge mca cmov pat pse36 . clflush . ds acpi " +
		"mmx fxsr sse sse2 ss htt tm1 . pbe"},
	{leaf: 0x1, reg: ECX, names: "" +
		"sse3 pclmulqdq dtes64 monitor dscpl vmx smx eist tm2 ssse3 . sdbg@20 fma cx16 xtpr pdcm . pcid " +
		"dca sse4-1 sse4-2 x2apic movbe popcnt tsc-deadline aesni xsave osxsave avx f16c rdrand " +
		"hypervisor"},
	{leaf: 0x80000001, reg: EDX, names: "" +
		". . . . . . . . . . . syscall . . . . . . . . nx . mmxext . . ffxsr page1gb rdtscp . lm " +
		"3dnowext 3dnow"},
	{leaf: 0x80000001, reg: ECX, names: "" +
		"lahf-lm cmp-legacy svm extapic cr8-legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop " +
		"skinit wdt . lwp fma4 . . nodeid-msr . tbm topoext . . . dbext . . monitorx addr-msk-ext@19"},
	{leaf: 0xd, subleaf: Some[uint32](1), reg: EAX, names: "xsaveopt xsavec xgetbv1 xsaves xfd@20"},
	{leaf: 0x7, subleaf: Some[uint32](0), reg: EBX, names: "" +
		"fsgsbase tsc-adjust sgx bmi1 hle avx2 fdp-excp-only smep bmi2 erms invpcid rtm pqm no-fpu-sel " +
		"mpx pqe avx512f avx512dq rdseed adx smap avx512-ifma . clflushopt clwb proc-trace@15 avx512pf " +
		"avx512er avx512cd sha avx512bw avx512vl"},
	{leaf: 0x7, subleaf: Some[uint32](0), reg: ECX, names: "" +
		"prefetchwt1 avx512-vbmi umip pku ospke waitpkg@20 avx512-vbmi2 cet-ss gfni vaes vpclmulqdq " +
		"avx512-vnni avx512-bitalg tme@20 avx512-vpopcntdq . la57@20 . . . . . rdpid . bld@18 cldemote . " +
		"movdiri movdir64b enqcmd sgx-lc@20 pks@18"},
	{leaf: 0x80000007, reg: EDX, names: ". . . . . . . hw-pstate@17 itsc cpb@17 efro"},
	{leaf: 0x80000008, reg: EBX, names: "" +
		"clzero . rstr-fp-err-ptrs . . . . . . wbnoinvd . . ibpb . ibrs amd-stibp ibrs-always " +
		"stibp-always ibrs-fast ibrs-same-mode no-lmsl@16 . . amd-ppin amd-ssbd virt-ssbd ssb-no cppc@21 " +
		"psfd btc-no ibpb-ret"},
	{leaf: 0x7, subleaf: Some[uint32](0), reg: EDX, names: "" +
		". sgx-keys@20 avx512-4vnniw avx512-4fmaps fsrm@16 uintr@19 . . avx512-vp2intersect@15 " +
		"srbds-ctrl md-clear rtm-always-abort . tsx-force-abort serialize hybrid@15 tsxldtrk . " +
		"pconfig@20 arch-lbr@19 cet-ibt . amx-bf16@20 avx512-fp16@17 amx-tile@19 amx-int8@20 ibrsb stibp " +
		"l1d-flush arch-caps core-caps ssbd"},
	{leaf: 0x7, subleaf: Some[uint32](1), reg: EAX, names: "" +
		"sha512@19 sm3@19 sm4@19 . avx-vnni@15 avx512-bf16 lass@21 cmpccxadd@20 arch-perf-mon@21 . " +
		"fzrm@16 fsrs@16 fsrcs@16 . . . . fred@19 lkgs@21 wrmsrns@18 nmi-src@21 amx-fp16@20 . " +
		"avx-ifma@18 . . lam@21 msrlist@21 . . no-invd@21"},
	{leaf: 0x80000021, reg: EAX, names: "" +
		"no-nest-bp@19 fs-gs-ns@19 lfence-dispatch . . verw-clear@17 nscb@16 . auto-ibrs@17 . " +
		"amd-fsrs@19 amd-fsrc@19 . . . . . cpuid-user-dis@18 epsf@19 fsrsc@19 amd-prefetchi@19 . . " +
		"avx512-bmm@22 . . . sbpb ibpb-brtype srso-no srso-us-no@17 srso-msr-fix@17"},
	{leaf: 0x7, subleaf: Some[uint32](1), reg: EBX, names: "intel-ppin@17"},
	{leaf: 0x7, subleaf: Some[uint32](2), reg: EDX, names: "intel-psfd ipred-ctrl@15 rrsba-ctrl@15 ddp-ctrl@18 bhi-ctrl@15 mcdt-no@17 uc-lock-dis@21"},
	{leaf: 0x7, subleaf: Some[uint32](1), reg: ECX, names: ""},
	{leaf: 0x7, subleaf: Some[uint32](1), reg: EDX, names: "" +
		". . . . avx-vnni-int8@18 avx-ne-convert@18 . . amx-complex@20 . avx-vnni-int16@19 . . . " +
		"prefetchi@19 . . uiret-uif@21 cet-sss@16 . . . . . slsm@21"},
	{msr: 0x10a, names: "" +
		"rdcl-no eibrs rsba skip-l1dfl intel-ssb-no mds-no if-pschange-mc-no tsx-ctrl taa-no mcu-ctrl " +
		"misc-pkg-ctrl energy-filtering doitm sbdr-ssdp-no fbsdp-no psdp-no mcu-ext@21 fb-clear " +
		"fb-clear-ctrl rrsba bhi-no xapic-status . ovrclk-status pbrsb-no gds-ctrl gds-no rfds-no@15 " +
		"rfds-clear@15 ign-umonitor@21 mon-umon-mitg@21"},
	{msr: 0x10a, bit: 32, names: "pb-opt-ctrl@18 . . . . . . . . . . . . . . . . . . . . . . . . . . . . . its-no@17"},
	{leaf: 0x80000021, reg: ECX, names: ". tsa-sq-no@17 tsa-l1-no@17"},
}

// feature is a named bit of a featureset.
type feature struct {
	word  *featureWord
	bit   int
	since Release
}

// features finds the features by name.
var features = sync.OnceValue(func() map[string]feature {
	m := map[string]feature{}
	for i := range featureWords {
		w := &featureWords[i]
		for bit, name := range strings.Fields(w.names) {
			name, minor, later := strings.Cut(name, "@")
			f := feature{w, bit + w.bit, Oldest}
			if later {
				f.since.Minor, _ = strconv.Atoi(minor)
			}
			if name != "." {
				m[name] = f
			}
		}
	}
	return m
})

// FeatureNames names the features whose bits are set in what bits returns for a
// register of a leaf; subleaf is abi.NoSubleaf for a leaf without any. A feature
// without a name is called by its place.
func FeatureNames(bits func(leaf, subleaf uint32, reg int) uint32) (names []string) {
	for i := range featureWords {
		w := &featureWords[i]
		if w.msr != 0 {
			continue
		}
		set := bits(w.leaf, w.subleaf.Or(abi.NoSubleaf), w.reg)
		known := strings.Fields(w.names)
		for bit := range 32 {
			switch {
			case set>>bit&1 == 0:
			case bit < len(known) && known[bit] != ".":
				name, _, _ := strings.Cut(known[bit], "@")
				names = append(names, name)
			default:
				names = append(names, fmt.Sprintf("leaf %#x register %s bit %d", w.leaf, "abcd"[w.reg:w.reg+1], bit))
			}
		}
	}
	return names
}

// cpuidField is a part of a CPUID register that has a name of its own.
type cpuidField struct {
	name    string
	leaf    uint32
	subleaf Opt[uint32]
	reg     int
	bit     int
	width   int
}

// cpuidFields are the names that libxl knows besides those of the features: they
// are looked at first. Source: tools/libs/light/libxl_cpuid.c, cpuid_flags.
var cpuidFields = []cpuidField{
	{name: "maxleaf", leaf: 0, reg: EAX, width: 32},
	{name: "stepping", leaf: 1, reg: EAX, width: 4},
	{name: "model", leaf: 1, reg: EAX, bit: 4, width: 8},
	{name: "family", leaf: 1, reg: EAX, bit: 8, width: 8},
	{name: "brandid", leaf: 1, reg: EBX, width: 8},
	{name: "clflush", leaf: 1, reg: EBX, bit: 8, width: 8},
	{name: "proccount", leaf: 1, reg: EBX, bit: 16, width: 8},
	{name: "localapicid", leaf: 1, reg: EBX, bit: 24, width: 8},
	{name: "est", leaf: 1, reg: ECX, bit: 7, width: 1},
	{name: "cntxid", leaf: 1, reg: ECX, bit: 10, width: 1},
	{name: "cmpxchg16", leaf: 1, reg: ECX, bit: 13, width: 1},
	{name: "sse4_1", leaf: 1, reg: ECX, bit: 19, width: 1},
	{name: "sse4.1", leaf: 1, reg: ECX, bit: 19, width: 1},
	{name: "sse4_2", leaf: 1, reg: ECX, bit: 20, width: 1},
	{name: "sse4.2", leaf: 1, reg: ECX, bit: 20, width: 1},
	{name: "aes", leaf: 1, reg: ECX, bit: 25, width: 1},
	{name: "cmpxchg8", leaf: 1, reg: EDX, bit: 8, width: 1},
	{name: "sysenter", leaf: 1, reg: EDX, bit: 11, width: 1},
	{name: "psn", leaf: 1, reg: EDX, bit: 18, width: 1},
	{name: "clfsh", leaf: 1, reg: EDX, bit: 19, width: 1},
	{name: "tm", leaf: 1, reg: EDX, bit: 29, width: 1},
	{name: "ia64", leaf: 1, reg: EDX, bit: 30, width: 1},
	{name: "arat", leaf: 6, reg: EAX, bit: 2, width: 1},
	{name: "tsc_adjust", leaf: 7, subleaf: Some[uint32](0), reg: EBX, bit: 1, width: 1},
	{name: "cmt", leaf: 7, subleaf: Some[uint32](0), reg: EBX, bit: 12, width: 1},
	{name: "lahfsahf", leaf: 0x80000001, reg: ECX, bit: 0, width: 1},
	{name: "cmplegacy", leaf: 0x80000001, reg: ECX, bit: 1, width: 1},
	{name: "altmovcr8", leaf: 0x80000001, reg: ECX, bit: 4, width: 1},
	{name: "nodeid", leaf: 0x80000001, reg: ECX, bit: 19, width: 1},
	{name: "perfctr_core", leaf: 0x80000001, reg: ECX, bit: 23, width: 1},
	{name: "perfctr_nb", leaf: 0x80000001, reg: ECX, bit: 24, width: 1},
	{name: "procpkg", leaf: 4, subleaf: Some[uint32](0), reg: EAX, bit: 26, width: 6},
	{name: "invtsc", leaf: 0x80000007, reg: EDX, bit: 8, width: 1},
	{name: "ppin", leaf: 0x80000008, reg: EBX, bit: 23, width: 1},
	{name: "nc", leaf: 0x80000008, reg: ECX, bit: 0, width: 8},
	{name: "apicidsize", leaf: 0x80000008, reg: ECX, bit: 12, width: 4},
	{name: "svm_npt", leaf: 0x8000000a, reg: EDX, bit: 0, width: 1},
	{name: "svm_lbrv", leaf: 0x8000000a, reg: EDX, bit: 1, width: 1},
	{name: "svm_nrips", leaf: 0x8000000a, reg: EDX, bit: 3, width: 1},
	{name: "svm_tscrate", leaf: 0x8000000a, reg: EDX, bit: 4, width: 1},
	{name: "svm_vmcbclean", leaf: 0x8000000a, reg: EDX, bit: 5, width: 1},
	{name: "svm_decode", leaf: 0x8000000a, reg: EDX, bit: 7, width: 1},
	{name: "svm_pausefilt", leaf: 0x8000000a, reg: EDX, bit: 10, width: 1},
	{name: "lfence+", leaf: 0x80000021, reg: EAX, bit: 2, width: 1},
	{name: "maxhvleaf", leaf: 0x40000000, reg: EAX, bit: 0, width: 8},
}
