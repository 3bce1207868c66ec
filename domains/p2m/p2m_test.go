package p2m

import "testing"

// What a guest's table may look like is tried by those who read it, migrate and
// domains/coredump, on guests in memory.
func TestPlausible(t *testing.T) {
	for _, tt := range []struct {
		name        string
		first, last uint64
		want        bool
	}{
		{"where Linux has it", 0xffffc90000000000, 0xffffc90000ffffff, true},
		{"low addresses", 0x1000, 0x1fff, true},
		{"begins inside of a page", 0x1008, 0x2007, false},
		{"no canonical address", 0x0000800000000000, 0x0000800000000fff, false},
		{"runs out of the low half", 0x00007ffffffff000, 0x0000800000000fff, false},
		{"spans the hole between the halves", 0x1000, 0xffffc90000000fff, false},
		{"begins where Xen is", 0xffff800000000000, 0xffff800000000fff, false},
		{"runs into Xen", 0xffff7ffffffff000, 0xffff800000000fff, false},
		{"around Xen", 0xffff700000000000, 0xffffc90000000fff, false},
		{"just above Xen", 0xffff880000000000, 0xffff880000000fff, true},
		{"runs over the end", 0xfffffffffffff000, 0x0000000000000fff, false},
	} {
		if got := plausible(tt.first, tt.last); got != tt.want {
			t.Errorf("%s: %#x-%#x: %v", tt.name, tt.first, tt.last, got)
		}
	}
}
