package main

import (
	"testing"

	"pgregory.net/rapid"
)

func TestQuoteRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := string(rapid.SliceOf(rapid.Byte()).Draw(t, "value"))
		if got := unquote(quote(v)); got != v {
			t.Fatalf("%q became %q by way of %q", v, got, quote(v))
		}
	})
}

func FuzzUnquote(f *testing.F) {
	for _, s := range []string{`\`, `\x`, `\x-`, `\x 1`, `\x0x`, `\777`, `\q`, `a\tb`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v := unquote(s)
		if len(v) > len(s) || unquote(quote(v)) != v {
			t.Errorf("%q became %q", s, v)
		}
	})
}

func TestAtoi(t *testing.T) {
	for s, want := range map[string]int32{
		"": 0, "x": 0, "5": 5, " \t7x": 7, "-3": -3, "+4": 4, "--5": 0, "4294967297": 1, "99999999999999999999": -1,
	} {
		if got := atoi(s); got != want {
			t.Errorf("atoi(%q) = %d, want %d", s, got, want)
		}
	}
}
