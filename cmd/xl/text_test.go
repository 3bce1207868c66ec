package main

import (
	"testing"

	"goxl/xenctrl/abi"
)

func TestCPURanges(t *testing.T) {
	for _, tt := range []struct {
		name, bits, want string
	}{
		{"none of none", "", "none"},
		{"none", "0000", "none"},
		{"all", "1111", "all"},
		{"the only one", "1", "all"},
		{"single", "0100", "1"},
		{"run", "1110", "0-2"},
		{"run up to the end", "0111", "1-3"},
		{"two runs", "1101", "0-1,3"},
		{"second run up to the end", "10011", "0,3-4"},
		{"every other", "10101", "0,2,4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := cpuRanges(func(i int) bool { return tt.bits[i] == '1' }, len(tt.bits))
			if got != tt.want {
				t.Errorf("%s: %q, want %q", tt.bits, got, tt.want)
			}
		})
	}
}

func TestParseMemSize(t *testing.T) {
	for _, tt := range []struct {
		text string
		want abi.KiB
		ok   bool
	}{
		{"512", 512 << 10, true}, {"512m", 512 << 10, true}, {"512M", 512 << 10, true},
		{"2g", 2 << 20, true}, {"1T", 1 << 30, true}, {"4096k", 4096, true},
		{"4095b", 3, true}, {"1023b", 0, true}, {" 64", 64 << 10, true}, {"+64", 64 << 10, true},
		{"", 0, true}, {"m", 0, true},
		{"512x", 0, false}, {"512mb", 0, false}, {"12 ", 0, false}, {"abc", 0, false}, {"-1k", 0, false},
	} {
		got, ok := parseMemSize(tt.text)
		if ok != tt.ok || ok && got != tt.want {
			t.Errorf("%q: %d %v, want %d %v", tt.text, got, ok, tt.want, tt.ok)
		}
	}
}

func TestStrtol(t *testing.T) {
	for _, tt := range []struct {
		text string
		n    int64
		rest string
	}{
		{"12ab", 12, "ab"}, {" \t-3", -3, ""}, {"+7 ", 7, " "}, {"", 0, ""}, {"x1", 0, "x1"}, {"-", 0, "-"},
		{"99999999999999999999", 1<<63 - 1, ""}, {"-99999999999999999999", -1 << 63, ""},
	} {
		if n, rest := strtol(tt.text); n != tt.n || rest != tt.rest {
			t.Errorf("%q: %d %q, want %d %q", tt.text, n, rest, tt.n, tt.rest)
		}
	}
}

// TestSeconds has a cpu time where single precision shows in the first decimal.
func TestSeconds(t *testing.T) {
	if got, want := seconds(123456789012345678), float64(float32(123456789012345678))/1e9; got != want {
		t.Errorf("%f, want %f", got, want)
	}
	if got := seconds(1500000000); got != 1.5 {
		t.Errorf("%f, want 1.5", got)
	}
}
