package policy

import (
	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// Registers of the leaves that hold features.
func f1c(bit int) feature  { return feature{1, abi.NoSubleaf, config.ECX, bit} }
func f1d(bit int) feature  { return feature{1, abi.NoSubleaf, config.EDX, bit} }
func f7b(bit int) feature  { return feature{7, 0, config.EBX, bit} }
func f7c(bit int) feature  { return feature{7, 0, config.ECX, bit} }
func f7d(bit int) feature  { return feature{7, 0, config.EDX, bit} }
func f71a(bit int) feature { return feature{7, 1, config.EAX, bit} }
func fda(bit int) feature  { return feature{0xd, 1, config.EAX, bit} }
func fec(bit int) feature  { return feature{0x80000001, abi.NoSubleaf, config.ECX, bit} }
func fed(bit int) feature  { return feature{0x80000001, abi.NoSubleaf, config.EDX, bit} }

// need says that a feature makes no sense without another one: its registers
// or instructions are an extension of the other's.
type need struct {
	base feature
	by   []feature
}

// needs lists what real processors never have alone. Xen itself hides more from
// a guest; what is listed here is hidden before Xen is asked, so that a policy
// that is read back, saved or shown is the one that was set.
// Source: the manuals of Intel and AMD.
func needs() []need {
	var (
		fpu, mmx, fxsr, sse, sse2 = f1d(0), f1d(23), f1d(24), f1d(25), f1d(26)
		pae, lm, nx, pse          = f1d(6), fed(29), fed(20), f1d(3)
		sse3, ssse3, sse41, sse42 = f1c(0), f1c(9), f1c(19), f1c(20)
		xsave, avx, avx2          = f1c(26), f1c(28), f7b(5)
		avx512f, avx512bw         = f7b(16), f7b(30)
		tsc, apic                 = f1d(4), f1d(9)
	)
	return []need{
		{fpu, []feature{mmx}},
		{pse, []feature{f1d(17)}},                                     // PSE36
		{tsc, []feature{f1c(24), fed(27), f7b(1), featITSC}},          // TSC deadline, RDTSCP, TSC_ADJUST
		{apic, []feature{f1c(21), f1c(24), fec(3)}},                   // x2APIC, TSC deadline, extended APIC space
		{mmx, []feature{fed(22), fed(31)}},                            // MMXEXT, 3DNow
		{fed(31), []feature{fed(30)}},                                 // 3DNowExt
		{fxsr, []feature{sse, fed(25)}},                               // fast FXSAVE
		{sse, []feature{sse2, fec(7)}},                                // misaligned SSE
		{sse2, []feature{sse3, lm, f1c(25), f1c(1), f7b(29), f7c(8)}}, // AES, PCLMULQDQ, SHA, GFNI
		{sse3, []feature{ssse3, fec(6)}},                              // SSE4A
		{ssse3, []feature{sse41}},
		{sse41, []feature{sse42}},
		{pae, []feature{lm, nx}},
		{lm, []feature{f1c(13), f1c(17), fec(0), fed(26), f7c(3)}},                        // CX16, PCID, LAHF, 1 GiB pages, PKU
		{xsave, []feature{avx, fda(0), fda(1), fda(2), fda(3), f7b(14), f7c(3), fec(15)}}, // XSAVEOPT …, MPX, PKU, LWP
		{avx, []feature{f1c(12), f1c(29), avx2, fec(16), fec(11)}},                        // FMA, F16C, FMA4, XOP
		{avx2, []feature{avx512f, f7c(9), f7c(10), f71a(4)}},                              // VAES, VPCLMULQDQ, AVX-VNNI
		{avx512f, []feature{f7b(17), f7b(21), f7b(26), f7b(27), f7b(28), avx512bw, f7b(31), f7d(2), f7d(3), f7c(11), f7c(14), f7d(8)}},
		{avx512bw, []feature{f7c(1), f7c(6), f7c(12), f71a(5), f7d(23)}}, // VBMI, VBMI2, BITALG, BF16, FP16
		{f1c(1), []feature{f7c(10)}},
		{f1c(25), []feature{f7c(9)}},
	}
}

// dropDependents clears what needs a feature that p does not have, and what
// needs that in turn.
func dropDependents(p *abi.CPUPolicy) {
	table := needs()
	for again := true; again; {
		again = false
		for _, n := range table {
			if n.base.in(p) {
				continue
			}
			for _, f := range n.by {
				if f.in(p) {
					f.set(p, false)
					again = true
				}
			}
		}
	}
}
