package abi

import (
	"slices"
	"testing"
)

func dirEntry(next uint16, name string) []byte {
	b := append([]byte{HypfsUint, 0, 0, 0}, 4, 0, 0, 0, 4, 0, 0, 0)
	b = append16(b, next)
	return append(append(b, name...), 0)
}

func TestParseHypfsDir(t *testing.T) {
	b := append(dirEntry(20, "alpha"), dirEntry(0, "b")...)
	var names []string
	for _, e := range ParseHypfsDir(b) {
		names = append(names, e.Name)
		if e.Type != HypfsUint || e.Size != 4 || e.MaxWrite != 4 {
			t.Errorf("entry %+v", e)
		}
	}
	if !slices.Equal(names, []string{"alpha", "b"}) {
		t.Errorf("names are %q", names)
	}
}

// FuzzParseHypfsDir looks for offsets that lead nowhere or back.
func FuzzParseHypfsDir(f *testing.F) {
	f.Add(append(dirEntry(20, "alpha"), dirEntry(0, "b")...))
	f.Add(dirEntry(15, ""))
	f.Add(dirEntry(0xffff, "loop"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := len(ParseHypfsDir(b)); n > len(b)/HypfsHeaderSize {
			t.Errorf("%d entries in %d bytes", n, len(b))
		}
	})
}
