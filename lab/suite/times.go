package suite

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Times lists how long each test took, slowest first: a test with its subtests, and
// each of them.
func Times(records []Record) string {
	sorted := slices.SortedStableFunc(slices.Values(records), func(a, b Record) int {
		return cmp.Compare(b.Took, a.Took)
	})
	var b strings.Builder
	for _, r := range sorted {
		fmt.Fprintf(&b, "%8s  %-4s  %s  %s %s\n", r.Took.Round(10*time.Millisecond), r.Outcome, r.Where, r.Package, r.Test)
	}
	return b.String()
}
