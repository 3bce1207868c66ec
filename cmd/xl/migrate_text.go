package main

import (
	"fmt"
	"strings"
	"time"

	"goxl/migrate"
	"goxl/xenctrl/abi"
)

// pauseText says beforehand how long a guest will not run.
func pauseText(size abi.KiB, known migrate.Pace) string {
	pace, why := known, "as the last time"
	if known.KiBPerSecond <= 0 {
		pace, why = migrate.AssumedPace, "assumed"
	}
	rate, digits := pace.KiBPerSecond/1024, 0
	if rate < 10 {
		digits = 1
	}
	return fmt.Sprintf("The guest will pause for about %s: %d MiB at %.*f MiB/s, %s.",
		about(pace.Predict(size)), size>>10, digits, rate, why)
}

// about is a time that nobody knows better than that.
func about(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Round(100*time.Millisecond).Milliseconds())
	case d < 100*time.Second:
		return fmt.Sprintf("%d s", int64(d.Round(time.Second)/time.Second))
	}
	return fmt.Sprintf("%d min", int64(d.Round(time.Minute)/time.Minute))
}

// moveTimelineText is what --timeline prints.
func moveTimelineText(t *migrate.Timeline) string {
	var b strings.Builder
	line := func(what string, d time.Duration, format string, args ...any) {
		fmt.Fprintf(&b, "%8d ms  %s%s\n", d.Milliseconds(), what, fmt.Sprintf(format, args...))
	}
	line("reach the receiver", t.Connect, "")
	line("configuration and CPU", t.Headers, "")
	for i, r := range t.Disks {
		line(fmt.Sprintf("disks, round %d", i+1), r.Took, ": %d MiB read, %d MiB sent, %.1f MiB/s, then %d MiB written anew",
			r.Read>>20, r.Sent>>20, float64(r.Read)/(1<<20)/max(r.Took.Seconds(), 0.001), r.Dirty>>20)
	}
	for i, r := range t.Rounds {
		line(fmt.Sprintf("round %d", i+1), r.Took, ": %d MiB, then %d MiB written anew, %.1f MiB/s", r.Sent>>8, r.Dirty>>8, r.DirtyRate()/256)
	}
	line("suspend", t.Suspend, "")
	line("pause", t.Pause(), ", of which")
	line("  memory", t.Memory, ": %d MiB", t.Rest>>8)
	if len(t.Disks) > 0 {
		line("  disks", t.DiskRest.Took, ": %d KiB read, %d KiB sent, and all verified", t.DiskRest.Read>>10, t.DiskRest.Sent>>10)
	}
	line("  state of the vcpus", t.State, "")
	line("  wait for the receiver", t.Receive, "")
	line("  give permission", t.HandOver, "")
	line("  start", t.Start, "")
	if t.Slowest > 0 {
		fmt.Fprintf(&b, "%11s slowed down to %d %% of its processor time\n", "", t.Slowest)
	}
	if t.Streams > 0 {
		fmt.Fprintf(&b, "%11s directly, over %d connections, of which %d were lost and made anew\n", "", t.Streams, t.Reconnects)
	}
	fmt.Fprintf(&b, "%11s %d MiB of stream, %d MiB sent (%d %%)\n", "", t.Stream>>20, t.Wire>>20, 100*t.Wire/max(t.Stream, 1))
	return b.String()
}
