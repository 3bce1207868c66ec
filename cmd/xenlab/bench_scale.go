package main

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// crowd is how many mini guests stand side by side.
const crowd = 20

// scale makes many guests one after the other and weighs what stays behind for
// them: the processes of the program, not the guests.
func (b *bench) scale(ctx context.Context, xl string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	var first time.Duration
	for i := range crowd {
		name := fmt.Sprintf("crowd%d", i)
		if _, err := b.host.Output(ctx, miniConfig(name, "pvh", "", 16)); err != nil {
			return err
		}
		took, err := b.measure(ctx, xl+" create -p -q /tmp/"+name+".cfg")
		if err != nil {
			return fmt.Errorf("create guest %d of %d: %w", i+1, crowd, err)
		}
		switch i {
		case 0:
			first = took
			b.add("create mini PVH, the first", xl == oursXL, took)
		case crowd - 1:
			b.add(fmt.Sprintf("create mini PVH, the %dth", crowd), xl == oursXL, took)
			b.growth = append(b.growth, fmt.Sprintf("%.2f", float64(took)/float64(first)))
		}
	}
	for _, command := range []string{"list", "info", "domid crowd7"} {
		took, err := b.measure(ctx, xl+" "+command)
		if err != nil {
			return err
		}
		b.add(fmt.Sprintf("%s, %d guests", strings.Fields(command)[0], crowd), xl == oursXL, took)
	}
	if err := b.weigh(ctx, xl == oursXL); err != nil {
		return err
	}
	_, err := b.host.Output(ctx, fmt.Sprintf("for i in $(seq 0 %d); do %s destroy crowd$i; done; sleep 2", crowd-1, xl))
	return err
}

// weigh adds up the private memory of the processes that wait for the guests' ends.
func (b *bench) weigh(ctx context.Context, ours bool) error {
	out, err := b.host.Output(ctx, `sleep 1; for p in $(pgrep -x xl); do awk '/^Private/ {s += $2} END {print s}' /proc/$p/smaps_rollup; done | awk '{s += $1; n++} END {print s+0, n+0}'`)
	if err != nil {
		return err
	}
	var kib, processes int
	if _, err := fmt.Sscan(out, &kib, &processes); err != nil {
		return fmt.Errorf("weigh %q: %w", out, err)
	}
	who := "the genuine xl"
	if ours {
		who = "ours"
	}
	b.weights = append(b.weights, fmt.Sprintf("%s: %d KiB of private memory in %d processes", who, kib, processes))
	return nil
}

// crowdText says what the table has no column for.
func (b *bench) crowdText() string {
	return fmt.Sprintf("\nWhat waits for the ends of %d guests, %s. The last of them took %s times as long to create as the first (ours, genuine).\n",
		crowd, strings.Join(b.weights, "; "), strings.Join(b.growth, " and "))
}
