package hostile

import "testing"

func TestInnocent(t *testing.T) {
	const sectors = 64
	good := append(append(Pattern(4), canaries[:]...), zeroes[:]...)
	good = append(good, patternOf(63, 1)...)
	for _, tt := range []struct {
		name   string
		change func(b []byte)
		bad    bool
	}{
		{"the disk's, untouched, zero", func([]byte) {}, false},
		{"a byte of another", func(b []byte) { b[700]++ }, true},
		{"a canary with a hole", func(b []byte) { b[4*512+100] = 0 }, true},
		{"zeroes with a byte", func(b []byte) { b[5*512+511] = 1 }, true},
		{"from the middle of a sector", func(b []byte) { copy(b, patternOf(1, 2)[64:]) }, true},
		{"beyond the disk", func(b []byte) { copy(b, patternOf(64, 1)) }, true},
	} {
		b := append([]byte(nil), good...)
		tt.change(b)
		if err := innocent(b, sectors); (err != nil) != tt.bad {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestNamesAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range Names("") {
		if seen[n] {
			t.Errorf("two misdeeds are called %s", n)
		}
		seen[n] = true
	}
	if len(seen) < 50 {
		t.Errorf("%d misdeeds", len(seen))
	}
}
