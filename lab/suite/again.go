package suite

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"goxl/lab"
)

// maxAgain is how often a test is tried again that a reset guest spoiled.
const maxAgain = 2

// lastReset returns Xen's report of the last time that the emulator reset a guest
// of host h; "" when it has not. QEMU's emulation of SVM now and then enters a
// guest with a broken state while the machine is busy, which Xen reports as a
// triple fault, whichever tool built the guest.
func lastReset(ctx context.Context, h *lab.Host) string {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	out, err := h.Output(ctx, "xl dmesg | grep 'Triple fault' | tail -n 1")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// again runs the failed tests of a package once more, and says so: a guest that the
// emulator resets, a vcpu that it halts with interrupts off since the shadow of "sti"
// was lost, a dom0 that gets no time are not what is tested, and only the first of
// them is told by Xen. What fails twice has failed; only resets have one more try.
// An error means that the host is lost.
func (r *runner) again(ctx context.Context, t Target, h *lab.Host, p Package) error {
	for _, g := range groups(r.tally.FailuresOf(t.String(), p.Path)) {
		for range maxAgain {
			r.log.note(t.String(), "once more, in case the emulator spoiled it: "+g)
			before := lastReset(ctx, h)
			result, err := r.execute(ctx, t, h, p, patternOf(g), NewTally(nil))
			if err != nil {
				return err
			}
			r.log.note(t.String(), fmt.Sprintf("%s %s: %s at another try", p.Path, g, result))
			if result.Failed == 0 && result.Passed > 0 {
				r.redeem(t, p, g)
				break
			}
			if lastReset(ctx, h) == before {
				break
			}
		}
	}
	return nil
}

// redeem counts the failures of a group as passed.
func (r *runner) redeem(t Target, p Package, g string) {
	for _, f := range r.tally.FailuresOf(t.String(), p.Path) {
		if group(f.Test) == g {
			r.tally.Redeem(f)
		}
	}
}

// group names the test that is run again for a failed one: the test around it, as
// deep as three names, since what a guest goes through are the steps of one test.
func group(test string) string {
	names := strings.Split(test, "/")
	if strings.ContainsAny(names[0], ", ") {
		return "" // not a test, but all that were under way when a binary died
	}
	return strings.Join(names[:max(1, min(3, len(names)-1))], "/")
}

// groups returns the groups of failures, each once.
func groups(failures []Failure) []string {
	var all []string
	for _, f := range failures {
		if g := group(f.Test); g != "" && !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	return all
}

// patternOf is the pattern that matches just that test and what is in it.
func patternOf(group string) string {
	names := strings.Split(group, "/")
	for i, name := range names {
		names[i] = "^" + regexp.QuoteMeta(name) + "$"
	}
	return strings.Join(names, "/")
}
