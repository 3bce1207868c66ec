package main

import (
	"strings"
	"testing"

	"goxl/lab/suite"
)

func TestMergeReplacesOlderOutcomes(t *testing.T) {
	record := func(where, op, outcome string) suite.Record {
		return suite.Record{Where: where, Package: "goxl/lab/interop", Test: "TestLabLifecycle/pvh/made_by_ours_and_driven_by_ours/" + op, Outcome: outcome}
	}
	runs := merge(nil, []suite.Record{record("Xen 4.17 with x", "create", "fail"), record("Xen 4.14 with x", "create", "pass")}, "2026-01-01", "a")
	runs = merge(runs, []suite.Record{record("Xen 4.17 with x", "reboot", "pass")}, "2026-01-01", "a2")
	runs = merge(runs, []suite.Record{record("Xen 4.17 with x", "create", "pass"), {Where: "unit tests", Test: "TestX", Outcome: "fail"}}, "2026-01-02", "b")
	if len(runs) != 3 || runs[0].Commit != "a" || runs[1].Commit != "a2" || runs[2].Commit != "b" {
		t.Fatalf("merge = %+v, want 4.14's run of commit a and 4.17's of a2 and b", runs)
	}
	got := worksTable(runs)
	for _, want := range []string{"| create | yes | yes |", "| reboot |  | yes |", "Xen 4.14 with x on 2026-01-01 at commit a; Xen 4.17 with x on 2026-01-01 at commit a2; Xen 4.17 with x on 2026-01-02 at commit b"} {
		if !strings.Contains(got, want) {
			t.Errorf("the table has no %q:\n%s", want, got)
		}
	}
}
