package supervise

import (
	"os"
	"testing"

	"goxl/domains/host"
	"goxl/xenctrl/abi"
)

// A guest that is looked after costs no reading of its record when another comes.
func TestLoadLeavesKnownRecordsAlone(t *testing.T) {
	recs := recordsIn(host.New(host.Paths{}), t.TempDir())
	known, fresh := abi.UUID{1}, abi.UUID{2}
	for _, u := range []abi.UUID{known, fresh} {
		if err := recs.save(&Record{UUID: u, ID: 7, Name: "web"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(recs.path(known), []byte("who reads this fails"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := recs.load(func(u abi.UUID) bool { return u == known })
	if err != nil || len(list) != 1 || list[0].UUID != fresh || list[0].Name != "web" {
		t.Errorf("%v, %v", list, err)
	}
	if list, err = recs.load(func(abi.UUID) bool { return false }); err == nil || len(list) != 1 {
		t.Errorf("with a broken record: %v, %v", list, err)
	}
}
