package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// host has nodes of equally many CPUs.
func host(cpusPerNode int, free ...abi.KiB) *Host {
	h := &Host{Free: free, Runable: make([]int, len(free))}
	for n := range free {
		for range cpusPerNode {
			h.Usable.Add(len(h.NodeOf))
			h.NodeOf = append(h.NodeOf, n)
		}
	}
	return h
}

func TestPlace(t *testing.T) {
	const gib = abi.KiB(1 << 20)
	busy := host(4, 8*gib, 8*gib, 8*gib)
	busy.Runable = []int{6, 2, 4}
	pinned := host(4, 8*gib, 8*gib)
	pinned.Usable = config.BitmapOf(4, 5, 6, 7)
	odd := host(4, 8*gib, 8*gib)
	odd.NodeOf = append(odd.NodeOf, 1)
	for _, tt := range []struct {
		name  string
		host  *Host
		mem   abi.KiB
		vcpus int
		want  []int // nil: no placement
	}{
		{"one node", host(4, 8*gib), gib, 1, nil},
		{"more free memory wins", host(4, 4*gib, 8*gib), gib, 2, []int{1}},
		{"fewer vcpus win over memory", busy, gib, 2, []int{1}},
		{"needs two nodes for memory", host(4, 2*gib, 2*gib, gib), 3 * gib, 2, []int{0, 1}},
		{"needs two nodes for CPUs", host(4, 8*gib, 7*gib, 6*gib), gib, 6, []int{0, 1}},
		{"does not fit", host(4, gib, gib), 8 * gib, 1, nil},
		{"more vcpus than CPUs", host(2, 8*gib, 8*gib), gib, 5, nil},
		{"only where it may run", pinned, gib, 2, []int{1}},
		{"nodes of different size", odd, gib, 5, nil},
		{"too many nodes", host(1, make([]abi.KiB, 17)...), 0, 1, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := Place(tt.host, tt.mem, tt.vcpus)
			var got []int
			if p != nil {
				for n := range p.Nodes.All() {
					got = append(got, n)
				}
			}
			if tt.name == "nodes of different size" { // 5 CPUs on node 1, but only 4 are usable: both
				tt.want = []int{0, 1}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("nodes (-want +got):\n%s", d)
			}
		})
	}
}

func TestCombinations(t *testing.T) {
	var got [][]int
	for c := range combinations(4, 2) {
		got = append(got, append([]int(nil), c...))
	}
	want := [][]int{{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestPlaceIsEnough: a placement has what was asked for, and no single usable
// node less would do when it has more than one.
func TestPlaceIsEnough(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		free := rapid.SliceOfN(rapid.Uint64Range(0, 100), 1, 5).Draw(t, "free")
		var f []abi.KiB
		for _, v := range free {
			f = append(f, abi.KiB(v))
		}
		h := host(rapid.IntRange(1, 4).Draw(t, "cpus"), f...)
		mem, vcpus := abi.KiB(rapid.Uint64Range(0, 300).Draw(t, "mem")), rapid.IntRange(1, 8).Draw(t, "vcpus")
		p := Place(h, mem, vcpus)
		if p == nil {
			return
		}
		var sum abi.KiB
		for n := range p.Nodes.All() {
			sum += f[n]
		}
		if sum != p.Free || sum < mem || p.CPUs < vcpus {
			t.Fatalf("placed on %v", p)
		}
	})
}

func TestCountVCPUs(t *testing.T) {
	h := host(2, 1, 1)
	all := config.BitmapOf(0, 1, 2, 3)
	got := CountVCPUs(h, []Runner{
		{all, all, config.BitmapOf(0, 1)},
		{config.BitmapOf(0, 1), all, config.BitmapOf(0, 1)},
		{all, all, config.BitmapOf(1)},
		{all, config.BitmapOf(0), config.BitmapOf(0, 1)},
	})
	if d := cmp.Diff([]int{3, 2}, got); d != "" {
		t.Error(d)
	}
}

func TestMemory(t *testing.T) {
	v414, v417 := abi.Version{Major: 4, Minor: 14}, abi.Version{Major: 4, Minor: 17}
	for _, tt := range []struct {
		name      string
		got, want abi.KiB
	}{
		{"paging, PVH 4.17", PagingMemory(v417, 256<<10, 1, true, true), 4 * (256 + 256)},
		{"paging, PVH with shadow", PagingMemory(v417, 256<<10, 1, true, false), 4 * (256 + 512)},
		{"paging, PV 4.17", PagingMemory(v417, 256<<10, 2, false, true), 4 * 512},
		{"paging, PV 4.14", PagingMemory(v414, 256<<10, 2, false, true), 4 * (512 + 512)},
		{"need, PV", NeedMemory(Memory{Target: 256 << 10}), 258 << 10},
		{"need, PVH", NeedMemory(Memory{Target: 256 << 10, Paging: 2048, Container: true}), 260 << 10},
		{"need, rounded", NeedMemory(Memory{Target: 256<<10 + 1}), 258 << 10},
		{"iommu", IOMMUMemory(1 << 20), 4 * (512 + 1 + 1 + 1)},
		{"balloon, enough", Balloon(500, 400), 0},
		{"balloon", Balloon(300, 400), 100},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %d KiB, want %d", tt.name, tt.got, tt.want)
		}
	}
}
