package suite

import "testing"

func TestTable(t *testing.T) {
	records := []Record{
		{"Xen 4.17 with oxenstored", "goxl/lab/interop", "TestLabLifecycle/pvh/made_by_ours,_driven_by_ours/create", "pass", 0},
		{"Xen 4.17 with oxenstored", "goxl/lab/interop", "TestLabLifecycle/pvh/made_by_ours,_driven_by_genuine/create", "pass", 0},
		{"Xen 4.14 with xenstored", "goxl/lab/interop", "TestLabLifecycle/pv/made_by_ours,_driven_by_ours/create", "pass", 0},
		{"Xen 4.14 with xenstored", "goxl/lab/interop", "TestLabLifecycle/pv/made_by_ours,_driven_by_genuine/create", "fail", 0},
		{"Xen 4.17 with oxenstored", "goxl/lab/interop", "TestLabLifecycle/pvh/made_by_ours,_driven_by_ours/pause,_unpause", "skip", 0},
		{"Xen 4.17 with oxenstored", "goxl/lab/interop", "TestLabDestroy/pv", "fail", 0},
		{"unit tests", "goxl/lab", "TestLabLifecycle/pv/x/create", "fail", 0},
	}
	const want = "| Operation | PV on 4.14 | PVH on 4.17 |\n|---|---|---|\n" +
		"| create | **no** | yes |\n| pause, unpause |  | n/a |\n"
	if got := Table(records); got != want {
		t.Errorf("Table:\n%s\nwant:\n%s", got, want)
	}
}

func TestReplaceTable(t *testing.T) {
	text := "# Head\n" + tableBegin + "old\n" + tableEnd + "foot\n"
	got, err := ReplaceTable(text, "new\n")
	if want := "# Head\n" + tableBegin + "new\n" + tableEnd + "foot\n"; err != nil || got != want {
		t.Errorf("ReplaceTable = %q, %v, want %q", got, err, want)
	}
	if _, err := ReplaceTable("no marks", "x"); err == nil {
		t.Error("ReplaceTable without marks: no error")
	}
}
