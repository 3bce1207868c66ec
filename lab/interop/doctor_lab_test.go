package interop

import (
	"strings"
	"testing"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// TestLabDoctor has "xl doctor" look over a host with guests of both tools, and finds
// nothing wrong; then it leaves something behind.
func TestLabDoctor(t *testing.T) {
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	for _, x := range []dom0.Tool{ours, genuine} {
		g := newBareGuest(t, "doc-"+x.Name, "pvh")
		t.Cleanup(func() { g.clear(t, genuine) })
		x.Must(t, "create", g.cfg)
	}
	if r := ours.Run(t, dom0.Patience, "doctor"); r.Code != 0 {
		t.Errorf("exit %d on a host with nothing wrong:\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	const left = "/libxl/30000"
	dom0.Sh(t, "xenstore-write "+left+"/type pvh")
	t.Cleanup(func() { dom0.Sh(t, "xenstore-rm "+left) })
	if r := ours.Run(t, dom0.Patience, "doctor"); r.Code != 1 || !strings.Contains(r.Stdout, left+" is left of domain 30000") {
		t.Errorf("exit %d with %s left behind:\n%s%s", r.Code, left, r.Stdout, r.Stderr)
	}
}
