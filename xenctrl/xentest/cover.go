package xentest

import (
	"os"
	"strconv"
	"strings"
)

// OneIn reports whether case i of a table is run that is too large for an
// emulated host, where each command takes a second: one case in n, and on each
// of the lab's releases other ones, so that the releases together cover more. With
// GOXL_MATRIX=full in the environment all cases run everywhere.
func OneIn(n, i int) bool {
	if os.Getenv("GOXL_MATRIX") == "full" {
		return true
	}
	_, minor, _ := strings.Cut(os.Getenv("GOXL_XEN"), ".")
	number, _ := strconv.Atoi(minor)
	return (i+number/3)%n == 0 // 4.14, 4.17 and 4.20 are three apart
}
