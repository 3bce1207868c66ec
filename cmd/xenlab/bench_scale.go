package main

import (
	"context"
	"fmt"
	"strings"
)

// Guests of a crowd are mini guests that stay paused, but for what their creation
// does.
const (
	crowd   = 50
	some    = 20 // of them, when what stays behind for them is weighed
	atATime = 8
	stretch = 10 // how many creates make the first and the last of a crowd
)

// crowdConfigs writes the configurations of a crowd.
func (b *bench) crowdConfigs(ctx context.Context) error {
	_, err := b.sh(ctx, miniConfig("crowd0", "pvh", "", 16)+
		fmt.Sprintf(`; for i in $(seq 1 %d); do sed "s/crowd0/crowd$i/" /tmp/crowd0.cfg >/tmp/crowd$i.cfg; done`, crowd-1))
	return err
}

// crowds is how many crowds each program makes: one takes minutes.
func (b *bench) crowds() int { return (b.rounds + 2) / 3 }

// inARow has either program make crowds, one guest after the other. Who begins
// changes, so that a host that grows slower does so for both.
func (b *bench) inARow(ctx context.Context) error {
	if err := b.crowdConfigs(ctx); err != nil {
		return err
	}
	for i := range b.crowds() {
		for _, xl := range b.turn(i) {
			if err := b.rowOf(ctx, xl); err != nil {
				return err
			}
		}
	}
	return nil
}

// rowOf has one program make a crowd. At its first guest, and at the mark, both
// programs are asked about the guests that there are, and what waits for their ends
// is weighed.
func (b *bench) rowOf(ctx context.Context, xl string) error {
	ours := xl == oursXL
	var took []float64
	for _, upTo := range []int{1, some, crowd} {
		more, err := b.times(ctx, fmt.Sprintf("for i in $(seq %d %d); do us %s create -q -p /tmp/crowd$i.cfg; done", len(took), upTo-1, xl))
		if err != nil {
			return fmt.Errorf("create guest %d of %d: %w", len(took)+len(more)+1, crowd, err)
		}
		took = append(took, more...)
		if upTo == some {
			if err := b.weigh(ctx, ours); err != nil {
				return err
			}
		}
		if err := b.ask(ctx, upTo); err != nil {
			return err
		}
	}
	first, last := median(took[:stretch]), median(took[crowd-stretch:])
	b.rows.add(metric{op: fmt.Sprintf("create mini PVH, the first %d of %d", stretch, crowd), unit: "ms", target: 1}, ours, took[:stretch]...)
	b.rows.add(metric{op: fmt.Sprintf("create mini PVH, the last %d of %d", stretch, crowd), unit: "ms", target: 1}, ours, took[crowd-stretch:]...)
	b.rows.add(metric{op: "the last by the first of them", unit: "times", target: 1.1, own: true}, ours, last/first)
	gone, err := b.times(ctx, fmt.Sprintf("for i in $(seq 0 %d); do us %s destroy crowd$i; done", crowd-1, xl))
	if err != nil {
		return err
	}
	b.rows.add(metric{op: "destroy mini PVH", unit: "ms", target: 1}, ours, gone...)
	return b.settle(ctx)
}

// ask has both programs, in turn, say what a host with n guests is asked about. It
// is one script, so that nothing but the programs runs in between.
func (b *bench) ask(ctx context.Context, n int) error {
	var script strings.Builder
	var order []question
	for i := range b.rounds {
		for _, xl := range b.turn(i) {
			for _, q := range []string{"list", "info", "domid crowd0"} {
				fmt.Fprintf(&script, "us %s %s\n", xl, q)
				order = append(order, question{strings.Fields(q)[0], xl == oursXL})
			}
		}
	}
	took, err := b.times(ctx, script.String())
	if err == nil && len(took) != len(order) {
		err = fmt.Errorf("%d of %d answers were timed", len(took), len(order))
	}
	if err != nil {
		return fmt.Errorf("ask about %d guests: %w", n, err)
	}
	for i, q := range order {
		b.rows.add(metric{op: fmt.Sprintf("%s, %s", q.what, guests(n)), unit: "ms", target: 0.8}, q.ours, took[i])
	}
	return nil
}

// question is what one program is asked.
type question struct {
	what string
	ours bool
}

// atOnce has either program make a crowd, several guests at a time.
func (b *bench) atOnce(ctx context.Context) error {
	if err := b.crowdConfigs(ctx); err != nil {
		return err
	}
	m := metric{op: fmt.Sprintf("create %d mini PVH, %d at a time", crowd, atATime), unit: "ms", target: 1}
	for i := range b.crowds() {
		for _, xl := range b.turn(i + 1) {
			all := fmt.Sprintf("sh -c 'seq 0 %d | xargs -P %d -I{} %s create -q -p /tmp/crowd{}.cfg'", crowd-1, atATime, xl)
			if err := b.measure(ctx, m, xl == oursXL, all); err != nil {
				return err
			}
			if _, err := b.sh(ctx, fmt.Sprintf("seq 0 %d | xargs -P %d -I{} %s destroy crowd{}", crowd-1, atATime, xl)); err != nil {
				return err
			}
			if err := b.settle(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle waits until the processes that followed the guests are gone.
func (b *bench) settle(ctx context.Context) error {
	_, err := b.sh(ctx, "for i in $(seq 100); do pgrep -x xl >/dev/null || exit 0; sleep 0.2; done; pgrep -a -x xl >&2; exit 1")
	if err != nil {
		return fmt.Errorf("processes stay though no guest does: %w", err)
	}
	return nil
}

// weigh adds up the memory of the processes that wait for the guests' ends: what
// nothing but their end gives back, and besides that their share of the pages of files,
// which are the programs.
func (b *bench) weigh(ctx context.Context, ours bool) error {
	out, err := b.sh(ctx, `sync; sleep 1; for p in $(pgrep -x xl); do cat /proc/$p/smaps_rollup; done | awk '/^Private_Dirty/ {d += $2} /^Pss:/ {p += $2} /rollup/ {n++} END {print d+0, p+0, n+0}'`)
	if err != nil {
		return err
	}
	var own, share, processes float64
	if _, err := fmt.Sscan(out, &own, &share, &processes); err != nil {
		return fmt.Errorf("weigh %q: %w", out, err)
	}
	b.rows.add(metric{op: "memory that stays behind for " + guests(some), unit: "KiB", target: 0.5}, ours, own)
	b.rows.add(metric{op: "the same with their share of files", unit: "KiB", target: 0.5}, ours, share)
	b.rows.add(metric{op: "processes that stay behind for " + guests(some), target: 0.5}, ours, processes)
	return nil
}

func guests(n int) string {
	if n == 1 {
		return "one guest"
	}
	return fmt.Sprintf("%d guests", n)
}
