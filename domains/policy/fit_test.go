package policy

import (
	"slices"
	"strings"
	"testing"

	"goxl/xenctrl/abi"
)

// small is a policy with a few leaves.
func small(change func(p *abi.CPUPolicy)) abi.CPUPolicy {
	p := abi.CPUPolicy{Leaves: []abi.CPUIDLeaf{
		{Leaf: 0, Subleaf: abi.NoSubleaf, A: 0xd}, {Leaf: 1, Subleaf: abi.NoSubleaf, C: 1 << 0, D: 1 << 25},
		{Leaf: 7, Subleaf: 0, B: 1 << 3}, {Leaf: 0x80000001, Subleaf: abi.NoSubleaf, D: 1 << 29},
	}}
	if change != nil {
		change(&p)
	}
	return p
}

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		name         string
		guest, there func(p *abi.CPUPolicy)
		features     string
		leaves       string
	}{
		{"the same", nil, nil, "", ""},
		{"more is there", nil, func(p *abi.CPUPolicy) { p.Leaves[2].B, p.Leaves[0].A = 1<<32-1, 0x1f }, "", ""},
		{"AVX2 and BMI2 are missing", func(p *abi.CPUPolicy) { p.Leaves[2].B |= 1<<5 | 1<<8 }, nil, "avx2 bmi2", ""},
		{"a whole leaf is missing", nil, func(p *abi.CPUPolicy) { p.Leaves = append(p.Leaves[:2], p.Leaves[3]) }, "bmi1", ""},
		{"a feature without a name", func(p *abi.CPUPolicy) { p.Leaves[1].D |= 1 << 10 }, nil, "leaf 0x1 register d bit 10", ""},
		{"what Xen makes up", func(p *abi.CPUPolicy) { p.Leaves[1].C |= 1<<31 | 1<<27 | 1<<21; p.Leaves[1].D |= 1 << 28 }, nil, "", ""},
		{"what AMD repeats", func(p *abi.CPUPolicy) { p.Leaves[3].D |= 0x0183f3ff }, nil, "", ""},
		{"leaves beyond the last", func(p *abi.CPUPolicy) { p.Leaves[0].A = 0x1f }, nil, "", "0x1f of leaf 0x0, 0xd there"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := Fit(small(tt.guest), small(tt.there))
			if got := strings.Join(m.Features, " "); got != tt.features || strings.Join(m.Leaves, " ") != tt.leaves || m.Empty() != (tt.features+tt.leaves == "") {
				t.Errorf("missing %q, %q", got, m.Leaves)
			}
		})
	}
	if got := Fit(small(func(p *abi.CPUPolicy) { p.Leaves[2].B |= 1<<5 | 1<<8 }), small(nil)).CPUID(); got != `cpuid = "host,avx2=0,bmi2=0"` {
		t.Errorf("setting %s", got)
	}
}

func TestHostWords(t *testing.T) {
	guest := small(nil)
	there := HostWords([8]uint32{1 << 25, 0, 1 << 29, 0, 0, 1 << 3}, guest)
	if got := Fit(guest, there).Features; !slices.Equal(got, []string{"sse3"}) {
		t.Errorf("missing %q", got)
	}
	if guest.Leaves[1].C == 0 {
		t.Error("the guest's policy was changed")
	}
}
