package suite

import (
	"context"
	"fmt"
	"regexp"
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

// again runs the failed tests of a package once more, those by name that failed
// while a guest was reset, and says so. A test that fails without a reset has
// failed for good. An error means that the host is lost.
func (r *runner) again(ctx context.Context, t Target, h *lab.Host, p Package) error {
	for range maxAgain {
		failed := r.tally.FailuresOf(t.String(), p.Path)
		tests := topLevel(failed)
		if len(tests) == 0 {
			return nil
		}
		r.log.note(t.String(), "the emulator reset a guest meanwhile: once more "+strings.Join(tests, ", "))
		before := lastReset(ctx, h)
		once := NewTally(nil)
		result, err := r.execute(ctx, t, h, p, "^("+strings.Join(tests, "|")+")$", once)
		if err != nil {
			return err
		}
		bad := map[string]bool{}
		for _, name := range topLevel(once.Failures()) {
			bad[name] = true
		}
		for _, f := range failed {
			if name := top(f.Test); name != "" && !bad[name] && result.Passed > 0 {
				r.tally.Redeem(f)
			}
		}
		r.log.note(t.String(), fmt.Sprintf("%s: %s at another try", p.Path, result))
		if result.Failed > 0 && lastReset(ctx, h) == before {
			return nil
		}
	}
	return nil
}

// top is the test function that a subtest belongs to; "" when a failure names none.
func top(test string) string {
	name, _, _ := strings.Cut(test, "/")
	if strings.ContainsAny(name, ", ") {
		return ""
	}
	return name
}

// topLevel returns the test functions of failures, each once, as patterns.
func topLevel(failures []Failure) []string {
	var names []string
	seen := map[string]bool{}
	for _, f := range failures {
		if name := top(f.Test); name != "" && !seen[name] {
			seen[name] = true
			names = append(names, regexp.QuoteMeta(name))
		}
	}
	return names
}
