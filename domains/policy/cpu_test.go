package policy

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// vendorLeaf is leaf 0 of a processor.
func vendorLeaf(v string) abi.CPUIDLeaf {
	r := func(s string) uint32 {
		return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
	}
	return abi.CPUIDLeaf{Leaf: 0, Subleaf: abi.NoSubleaf, A: 0xd, B: r(v), D: r(v[4:]), C: r(v[8:])}
}

// cpu is a processor with 4 cores, SSE, AVX and more.
func cpu(vendor string) abi.CPUPolicy {
	return abi.CPUPolicy{
		Leaves: []abi.CPUIDLeaf{
			vendorLeaf(vendor),
			{Leaf: 1, Subleaf: abi.NoSubleaf, B: 4 << 16, C: 1<<0 | 1<<5 | 1<<9 | 1<<26 | 1<<28, D: 1<<0 | 1<<4 | 1<<6 | 1<<9 | 1<<23 | 1<<24 | 1<<25 | 1<<26},
			{Leaf: 4, Subleaf: 0, A: 1 | 1<<5 | 1<<14 | 3<<26},
			{Leaf: 4, Subleaf: 1, A: 2 | 1<<5 | 0<<26},
			{Leaf: 4, Subleaf: 2, A: 0},
			{Leaf: 7, Subleaf: 0, B: 1<<5 | 1<<16 | 1<<30},
			{Leaf: 0x80000001, Subleaf: abi.NoSubleaf, C: 1<<1 | 1<<2, D: 1<<20 | 1<<29},
			{Leaf: 0x80000007, Subleaf: abi.NoSubleaf, D: 1 << 8},
			{Leaf: 0x80000008, Subleaf: abi.NoSubleaf, A: 0x3030, C: 3 | 2<<12},
		},
		MSRs: []abi.PolicyMSR{{Index: 0xce, Value: 1 << 31}, {Index: 0x10a, Value: 0xff}},
	}
}

func cpus(vendor string) CPUs { return CPUs{Host: cpu(vendor), Default: cpu(vendor)} }

func TestCPUTopology(t *testing.T) {
	for _, tt := range []struct {
		name, vendor string
		traits       Traits
		lppp         uint32 // leaf 1 EBX[23:16]
		cache        uint32 // leaf 4 subleaf 0 EAX
		cores        uint32 // leaf 0x80000008 ECX
		htt, legacy  bool
	}{
		{"PV sees the host's", "GenuineIntel", Traits{}, 4, 1 | 1<<5 | 1<<14 | 3<<26, 3 | 2<<12, false, true},
		{"PVH on Intel", "GenuineIntel", Traits{Container: true}, 8, 1 | 1<<5 | 7<<26, 3 | 2<<12, true, false},
		{"PVH on AMD", "AuthenticAMD", Traits{Container: true}, 8, 1 | 1<<5 | 1<<14 | 3<<26, 7 | 3<<12, true, false},
		{"PVH on Hygon", "HygonGenuine", Traits{Container: true}, 8, 1 | 1<<5 | 1<<14 | 3<<26, 7 | 3<<12, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := CPU(cpus(tt.vendor), tt.traits, config.CPUPolicy{})
			if err != nil {
				t.Fatal(err)
			}
			if got := leaf(&p, 1, abi.NoSubleaf).B >> 16 & 0xff; got != tt.lppp {
				t.Errorf("%d logical processors, want %d", got, tt.lppp)
			}
			if got := leaf(&p, 4, 0).A; got != tt.cache {
				t.Errorf("cache %#x, want %#x", got, tt.cache)
			}
			if got := leaf(&p, 0x80000008, abi.NoSubleaf).C; got != tt.cores {
				t.Errorf("cores %#x, want %#x", got, tt.cores)
			}
			if featHTT.in(&p) != tt.htt || featCmpLegacy.in(&p) != tt.legacy {
				t.Errorf("HTT %v, CMP_LEGACY %v", featHTT.in(&p), featCmpLegacy.in(&p))
			}
			if p.MSRs != nil {
				t.Errorf("MSRs %v without an edit", p.MSRs)
			}
		})
	}
}

func TestCPUTraits(t *testing.T) {
	p, err := CPU(cpus("AuthenticAMD"), Traits{Container: true, InvariantTSC: true, NestedVirt: true}, config.CPUPolicy{})
	if err != nil || !featITSC.in(&p) || !featSVM.in(&p) || !featVMX.in(&p) || !featPAE.in(&p) {
		t.Errorf("with everything: %v, %+v", err, p)
	}
	p, err = CPU(cpus("AuthenticAMD"), Traits{Container: true, NoPAE: true}, config.CPUPolicy{})
	if err != nil || featITSC.in(&p) || featSVM.in(&p) || featVMX.in(&p) || featPAE.in(&p) {
		t.Errorf("with nothing: %v, %+v", err, p)
	}
}

func bits(set map[int]byte) config.RegPolicy {
	b := []byte(strings.Repeat("x", 32))
	for bit, c := range set {
		b[31-bit] = c
	}
	return config.RegPolicy(b)
}

func TestCPUEdits(t *testing.T) {
	c := cpus("GenuineIntel")
	leaf(&c.Host, 1, abi.NoSubleaf).C |= 1 << 31
	p, err := CPU(c, Traits{}, config.CPUPolicy{Leaves: []config.CPUIDLeaf{
		{Leaf: 1, Regs: [4]config.RegPolicy{config.ECX: bits(map[int]byte{5: '0', 3: '1', 31: 'k'})}},
		{Leaf: 7, Subleaf: config.Some(uint32(0)), Regs: [4]config.RegPolicy{config.EBX: bits(map[int]byte{30: '0'})}},
	}, MSRs: []config.MSRPolicy{{Index: 0x10a, Policy: strings.Repeat("x", 63) + "0"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := leaf(&p, 1, abi.NoSubleaf).C, leaf(&c.Default, 1, abi.NoSubleaf).C&^(1<<5)|1<<3|1<<31; got != want {
		t.Errorf("leaf 1 ECX = %#x, want %#x", got, want)
	}
	if got := leaf(&p, 7, 0).B; got != 1<<5|1<<16 {
		t.Errorf("leaf 7 EBX = %#x", got)
	}
	if got := msr(&p, 0x10a).Value; got != 0xfe {
		t.Errorf("MSR 0x10a = %#x", got)
	}
	if c.Default.Leaves[1].C != cpu("GenuineIntel").Leaves[1].C {
		t.Error("the default policy was changed")
	}
}

func TestCPUDependents(t *testing.T) {
	p, err := CPU(cpus("GenuineIntel"), Traits{}, config.CPUPolicy{Leaves: []config.CPUIDLeaf{
		{Leaf: 1, Regs: [4]config.RegPolicy{config.ECX: bits(map[int]byte{26: '0'})}}}})
	if err != nil {
		t.Fatal(err)
	}
	if f1c(28).in(&p) || f7b(5).in(&p) || f7b(16).in(&p) || f7b(30).in(&p) {
		t.Errorf("without XSAVE, AVX and what builds on it remain: %+v", p)
	}
	if !f1d(26).in(&p) {
		t.Error("SSE2 went too")
	}
}

func TestCPUEditErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit config.CPUPolicy
		want string
	}{
		{"no such leaf", config.CPUPolicy{Leaves: []config.CPUIDLeaf{{Leaf: 0x40000000}}}, "0x40000000"},
		{"short", config.CPUPolicy{Leaves: []config.CPUIDLeaf{{Leaf: 1, Regs: [4]config.RegPolicy{"x"}}}}, "1 bits"},
		{"odd letter", config.CPUPolicy{Leaves: []config.CPUIDLeaf{{Leaf: 1, Regs: [4]config.RegPolicy{bits(map[int]byte{0: 'z'})}}}}, "'z'"},
		{"no such MSR", config.CPUPolicy{MSRs: []config.MSRPolicy{{Index: 0x1b}}}, "0x1b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := CPU(cpus("GenuineIntel"), Traits{}, tt.edit)
			if !errors.Is(err, ErrPolicy) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an ErrPolicy that mentions %q", err, tt.want)
			}
		})
	}
}

// TestCPUEditIsLocal: an edit of one bit changes that bit, and clears others at
// most.
func TestCPUEditIsLocal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := cpus("GenuineIntel")
		l := &c.Default.Leaves[rapid.IntRange(0, len(c.Default.Leaves)-1).Draw(t, "leaf")]
		reg, bit := rapid.IntRange(0, 3).Draw(t, "reg"), rapid.IntRange(0, 31).Draw(t, "bit")
		e := config.CPUIDLeaf{Leaf: l.Leaf}
		if l.Subleaf != abi.NoSubleaf {
			e.Subleaf = config.Some(l.Subleaf)
		}
		e.Regs[reg] = bits(map[int]byte{bit: rapid.SampledFrom([]byte("01kx")).Draw(t, "value")})
		plain, err := CPU(c, Traits{}, config.CPUPolicy{})
		if err != nil {
			t.Fatal(err)
		}
		p, err := CPU(c, Traits{}, config.CPUPolicy{Leaves: []config.CPUIDLeaf{e}})
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range p.Leaves {
			mask := [4]uint32{}
			if got.Leaf == e.Leaf && got.Subleaf == l.Subleaf {
				mask = [4]uint32{0: ^uint32(0), 1: ^uint32(0), 2: ^uint32(0), 3: ^uint32(0)}
			}
			for r := range 4 {
				was, is := *register(&plain.Leaves[i], r), *register(&got, r)
				if is&^was&^mask[r] != 0 {
					t.Fatalf("leaf %#x register %d: %#x became %#x", got.Leaf, r, was, is)
				}
			}
		}
		if !slices.Equal(c.Host.Leaves, cpu("GenuineIntel").Leaves) {
			t.Fatal("the host's policy was changed")
		}
	})
}
