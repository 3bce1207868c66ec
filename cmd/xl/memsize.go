package main

import (
	"strings"

	"goxl/xenctrl/abi"
)

// parseMemSize reads a memory size as mem-set and mem-max take it: a number of
// MiB, or one with a unit letter b, k, m, g or t. It reports false when the text
// is none. Bytes are rounded down to KiB. As in the genuine xl no digits are 0,
// and a negative number becomes a huge size: both are refused later, since no
// domain can have them.
func parseMemSize(s string) (abi.KiB, bool) {
	n, unit := strtol(s)
	switch strings.ToLower(unit) {
	case "t":
		n <<= 30
	case "g":
		n <<= 20
	case "m", "":
		n <<= 10
	case "k":
	case "b":
		n >>= 10
	default:
		return 0, false
	}
	return abi.KiB(n), n != -1
}
