package suite

import (
	"slices"
	"strings"
)

// Done returns, by target, a pattern of those tests of the tables that need not run
// again: they passed, or had nothing to do. What a guest goes through in its life
// counts as a whole, up to its shutdown.
func Done(records []Record) map[string]string {
	done := map[string][]string{}
	for _, r := range records {
		if !InTable(r) || r.Outcome == "fail" {
			continue
		}
		test := r.Test
		if m := lifecycle.FindStringSubmatch(test); m != nil {
			test = strings.TrimSuffix(test, "/"+m[4])
			if m[4] != "shutdown" || failedWithin(records, r.Where, test) {
				continue
			}
		}
		done[r.Where] = append(done[r.Where], patternOf(test))
	}
	patterns := map[string]string{}
	for where, tests := range done {
		patterns[where] = strings.Join(tests, "|")
	}
	return patterns
}

// failedWithin reports whether a part of a test failed.
func failedWithin(records []Record, where, test string) bool {
	return slices.ContainsFunc(records, func(r Record) bool {
		return r.Where == where && r.Outcome == "fail" && strings.HasPrefix(r.Test, test+"/")
	})
}
