package suite

import "testing"

func TestMoveTable(t *testing.T) {
	on := func(where, test, outcome string) Record {
		return Record{where, "goxl/lab/move", test, outcome, 0}
	}
	records := []Record{
		on("Xen 4.17 beside 4.20", "TestLabMove/pvh/migrated_live_from_ours_to_genuine", "pass"),
		on("Xen 4.14 beside 4.17", "TestLabMove/pvh/migrated_live_from_ours_to_genuine", "fail"),
		on("Xen 4.17 beside 4.20", "TestLabMove/pv/migrated_live_from_genuine_to_ours", "skip"),
		on("Xen 4.17 beside 4.20", "TestLabMove/pv/saved_and_restored_from_genuine_to_ours", "pass"),
		on("Xen 4.17 beside 4.20", "TestLabMove/pv", "pass"),
		on("Xen 4.17 with oxenstored", "TestLabMove/pv/saved_and_restored_from_ours_to_genuine", "pass"),
	}
	const want = "| Guest, way | Tools | 4.14 to 4.17 | 4.17 to 4.20 |\n|---|---|---|---|\n" +
		"| PV, migrated live | genuine to ours |  | n/a |\n" +
		"| PV, saved and restored | genuine to ours |  | yes |\n" +
		"| PVH, migrated live | ours to genuine | **no** | yes |\n"
	if got := MoveTable(records); got != want {
		t.Errorf("MoveTable:\n%s\nwant:\n%s", got, want)
	}
	if !InTable(records[0]) || InTable(records[4]) {
		t.Error("InTable takes others than the rows")
	}
	if got := Table(records[:5]); got != Table(nil) {
		t.Errorf("moves between hosts are in the first table:\n%s", got)
	}
	if got := MoveTable(records[4:]); got != "" {
		t.Errorf("a table of nothing:\n%s", got)
	}
}

func TestDone(t *testing.T) {
	on := func(test, outcome string) Record {
		return Record{"Xen 4.17 with oxenstored", "goxl/lab/interop", test, outcome, 0}
	}
	const life = "TestLabLifecycle/pvh/made_by_ours_and_driven_by_genuine"
	records := []Record{
		on("TestLabMove/pv/migrated_live_from_genuine_to_ours", "pass"),
		on("TestLabMove/pv/migrated_live_from_ours_to_ours", "fail"),
		on("TestLabMove/pvh/migrated_live_from_ours_to_ours", "skip"),
		on(life+"/create", "pass"), on(life+"/list", "pass"),
		on("TestLabCheckpoint/pv", "pass"),
	}
	const moves = "^TestLabMove$/^pv$/^migrated_live_from_genuine_to_ours$|^TestLabMove$/^pvh$/^migrated_live_from_ours_to_ours$"
	if got := Done(records)["Xen 4.17 with oxenstored"]; got != moves {
		t.Errorf("half a life: %s", got)
	}
	records = append(records, on(life+"/shutdown", "pass"))
	const all = moves + "|^TestLabLifecycle$/^pvh$/^made_by_ours_and_driven_by_genuine$"
	if got := Done(records)["Xen 4.17 with oxenstored"]; got != all {
		t.Errorf("a whole life: %s", got)
	}
	records[4].Outcome = "fail"
	if got := Done(records)["Xen 4.17 with oxenstored"]; got != moves {
		t.Errorf("a life with a failure: %s", got)
	}
}
