package dom0

import (
	"strconv"
	"testing"

	"goxl/xenctrl"
)

// LogDirty has Xen note for a moment what a guest writes, and returns its refusal: of
// a PV guest that needs shadow paging, which a Xen may be built without.
func LogDirty(t *testing.T, id string) error {
	t.Helper()
	n, err := strconv.ParseUint(id, 10, 16)
	if err != nil {
		t.Fatalf("domain id %q: %v", id, err)
	}
	h, err := xenctrl.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.EnableLogDirty(xenctrl.DomID(n)); err != nil {
		return err
	}
	if err := h.DisableLogDirty(xenctrl.DomID(n)); err != nil {
		t.Fatal(err)
	}
	return nil
}
