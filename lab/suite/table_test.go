package suite

import "testing"

func TestTable(t *testing.T) {
	on := func(where, test, outcome string) Record {
		return Record{where, "goxl/lab/interop", test, outcome, 0}
	}
	const new, old = "Xen 4.17 with oxenstored", "Xen 4.14 with xenstored"
	records := []Record{
		on(old, "TestLabMove/pv/saved_and_restored_from_ours_to_genuine", "pass"),
		on(new, "TestLabLifecycle/pvh/made_by_ours_and_driven_by_ours/create", "pass"),
		on(new, "TestLabLifecycle/pvh/made_by_genuine_and_driven_by_ours/create", "pass"),
		on(old, "TestLabLifecycle/pv/made_by_ours_and_driven_by_ours/create", "pass"),
		on(old, "TestLabLifecycle/pv/made_by_ours_and_driven_by_genuine/create", "fail"),
		on(new, "TestLabLifecycle/pvh/made_by_ours_and_driven_by_ours/pause,_unpause", "skip"),
		on(new, "TestLabLifecycle/pvh/made_by_ours_and_driven_by_ours/reboot", "pass"),
		on(old, "TestLabMini/pv/made_by_genuine", "pass"),
		on(new, "TestLabMini/pvh/made_by_genuine", "pass"),
		on(new, "TestLabDestroy/pv", "fail"),
		on(new, "TestLabLifecycle/pvh/made_by_ours_and_driven_by_ours", "pass"),
		on("unit tests", "TestLabLifecycle/pv/made_by_ours_and_driven_by_ours/create", "fail"),
	}
	const want = "| Operation | PV on 4.14 | PVH on 4.17 |\n|---|---|---|\n" +
		"| create | **no** | yes |\n| pause, unpause |  | n/a |\n| reboot | mini | yes |\n| save, restore | mini |  |\n" +
		"\nMade by and driven by: PV on 4.14 ours/genuine, ours/ours; PVH on 4.17 genuine/ours, ours/ours.\n"
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
