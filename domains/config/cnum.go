package config

import "math"

// The formats of libxl are defined by what C's number readers accept: leading
// blanks, a sign, a base prefix, and anything behind the digits.

func isSpace(c byte) bool { return c == ' ' || '\t' <= c && c <= '\r' }

func digitOf(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'z':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'Z':
		return int(c-'A') + 10
	}
	return 99
}

// magnitude reads the digits of a number. ok is false if there are none;
// overflow says that the value did not fit in 64 bits.
func magnitude(s string, base int) (v uint64, neg bool, rest string, ok, overflow bool) {
	i := 0
	for i < len(s) && isSpace(s[i]) {
		i++
	}
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		neg = s[i] == '-'
		i++
	}
	hex := i+2 < len(s) && s[i] == '0' && (s[i+1] == 'x' || s[i+1] == 'X') && digitOf(s[i+2]) < 16
	switch {
	case (base == 0 || base == 16) && hex:
		base, i = 16, i+2
	case base == 0 && i < len(s) && s[i] == '0':
		base = 8
	case base == 0:
		base = 10
	}
	start := i
	for ; i < len(s) && digitOf(s[i]) < base; i++ {
		d := uint64(digitOf(s[i]))
		if v > (math.MaxUint64-d)/uint64(base) {
			overflow = true
		}
		v = v*uint64(base) + d
	}
	if i == start {
		return 0, false, s, false, false
	}
	return v, neg, s[i:], true, overflow
}

// scanInt reads a number as strtol does. ok is false if s does not begin with
// one; inRange is false if it was cut to what fits.
func scanInt(s string, base int) (v int64, rest string, ok, inRange bool) {
	m, neg, rest, ok, over := magnitude(s, base)
	switch {
	case !ok:
		return 0, s, false, true
	case neg && (over || m > 1<<63):
		return math.MinInt64, rest, true, false
	case !neg && (over || m > math.MaxInt64):
		return math.MaxInt64, rest, true, false
	case neg:
		return -int64(m), rest, true, true
	}
	return int64(m), rest, true, true
}

// scanUint reads a number as strtoul does: a minus sign wraps around, and what
// is too large becomes the largest number.
func scanUint(s string, base int) (v uint64, rest string, ok bool) {
	m, neg, rest, ok, over := magnitude(s, base)
	switch {
	case !ok:
		return 0, s, false
	case over:
		return math.MaxUint64, rest, true
	case neg:
		return -m, rest, true
	}
	return m, rest, true
}

// atoi reads a number as C's atoi does; what is no number is 0.
func atoi(s string) int {
	v, _, _, _ := scanInt(s, 10)
	return int(int32(v))
}

// strtoul0 is strtoul with base 0 and no look at what follows the number.
func strtoul0(s string) uint64 {
	v, _, _ := scanUint(s, 0)
	return v
}
