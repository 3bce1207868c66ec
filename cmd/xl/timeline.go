package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"goxl/domains"
)

// timelineText shows how long each step of a create took, in the order in which they
// began; a step that is part of another stands below it, indented. What is between
// the steps shows in the times at which they began.
func timelineText(steps []domains.Step, total time.Duration) string {
	steps = slices.Clone(steps)
	slices.SortStableFunc(steps, func(a, b domains.Step) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.Took, a.Took))
	})
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	var b strings.Builder
	fmt.Fprintf(&b, "%10s %10s  step\n", "from ms", "took ms")
	var open []time.Duration // the ends of the steps that the next may be part of
	for _, s := range steps {
		for len(open) > 0 && open[len(open)-1] <= s.Start {
			open = open[:len(open)-1]
		}
		fmt.Fprintf(&b, "%10.1f %10.1f  %s%s\n", ms(s.Start), ms(s.Took), strings.Repeat("  ", len(open)), s.Name)
		open = append(open, s.Start+s.Took)
	}
	fmt.Fprintf(&b, "%10s %10.1f  all of it\n", "", ms(total))
	return b.String()
}
