package suite

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"goxl/lab"
)

// again runs the failed tests of a package once more, and says so. The emulator now
// and then delivers an interrupt to a guest twice, or halts a vcpu with interrupts
// off since it lost the shadow of "sti": that is not what is tested. What fails
// twice has failed. An error means that the host is lost.
func (r *runner) again(ctx context.Context, t Target, h *lab.Host, p Package) error {
	for _, g := range groups(r.tally.FailuresOf(t.String(), p.Path)) {
		r.log.note(t.String(), "once more, in case the emulator spoiled it: "+g)
		result, err := r.execute(ctx, t, h, p, patternOf(g), NewTally(nil))
		if err != nil {
			return err
		}
		r.log.note(t.String(), fmt.Sprintf("%s %s: %s at another try", p.Path, g, result))
		if result.Failed == 0 && result.Passed > 0 {
			r.redeem(t, p, g)
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
