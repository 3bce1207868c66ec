package main

import (
	"testing"
	"time"

	"goxl/domains"
)

func TestTimelineText(t *testing.T) {
	const ms = time.Millisecond
	got := timelineText([]domains.Step{ // in the order in which they ended
		{Name: "check", Start: 0, Took: 2 * ms},
		{Name: "load kernel", Start: 3 * ms, Took: 4 * ms},
		{Name: "build", Start: 3 * ms, Took: 9500 * time.Microsecond},
		{Name: "unpause", Start: 13 * ms, Took: ms},
	}, 15*ms)
	const want = "" +
		"   from ms    took ms  step\n" +
		"       0.0        2.0  check\n" +
		"       3.0        9.5  build\n" +
		"       3.0        4.0    load kernel\n" +
		"      13.0        1.0  unpause\n" +
		"                 15.0  all of it\n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
