package main

import (
	"strconv"
	"strings"
)

// seconds is a cpu time as the genuine tools print it, for %.1f: they round the
// nanoseconds to single precision before dividing.
func seconds(ns uint64) float64 { return float64(float32(ns)) / 1e9 }

// orNull is a name as C prints it: "(null)" when there is none.
func orNull(name string) string {
	if name == "" {
		return "(null)"
	}
	return name
}

// flag is letter when on, and '-' when not.
func flag(on bool, letter byte) byte {
	if on {
		return letter
	}
	return '-'
}

// cpuRanges writes the first n members of set as "0-3,5". No member is "none";
// one run from the first to the last is "all".
func cpuRanges(set func(int) bool, n int) string {
	var b strings.Builder
	for i := 0; i < n; i++ {
		if !set(i) {
			continue
		}
		first := i
		for i+1 < n && set(i+1) {
			i++
		}
		if first == 0 && i == n-1 {
			return "all"
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(first))
		if i > first {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(i))
		}
	}
	if b.Len() == 0 {
		return "none"
	}
	return b.String()
}

// atoi is C's atoi: leading blanks, a sign, then digits; the rest is ignored,
// and no digits are 0.
func atoi(s string) int {
	n, _ := strtol(s)
	return int(int32(n))
}

// strtol is C's strtol in base 10. It returns the number and the text after it;
// when there are no digits the number is 0 and the text is all of s. A number
// too large for 64 bits becomes the largest one of its sign.
func strtol(s string) (n int64, rest string) {
	i := len(s) - len(strings.TrimLeft(s, " \t\n\v\f\r"))
	start := i
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	digits := i
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	if i == digits {
		return 0, s
	}
	n, _ = strconv.ParseInt(s[start:i], 10, 64) // out of range: the nearest one
	return n, s[i:]
}
