package interop

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// kills is how often a creation of each kind is killed, at moments spread over
// the time that it takes.
func kills() int {
	if dom0.Full() {
		return 12
	}
	return 4
}

// TestLabGC kills "xl create" again and again and has "xl gc" clean up: the host is
// as before each time, and a guest that the genuine xl has built beside it, and
// has not started, stays as it is.
func TestLabGC(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	beside := newBareGuest(t, "gc-beside", "pvh")
	t.Cleanup(func() { beside.clear(t, genuine) })
	genuine.Must(t, "create", "-p", beside.cfg)
	row := func() string { return genuine.Must(t, "list", "-v", beside.name) }
	untouched := row()
	for _, kind := range []string{"pvh", "pv"} {
		t.Run(kind, func(t *testing.T) {
			g := newBareGuest(t, "gc-"+kind, kind)
			t.Cleanup(func() { g.clear(t, genuine) })
			same := dom0.Leftovers(t)
			took := min(g.createOnce(t, ours), g.createOnce(t, ours))
			same()
			for i, n := 0, kills(); i < n; i++ {
				after := took * time.Duration(2*i+1) / time.Duration(2*n)
				g.kill(t, ours, after)
				found := ours.Must(t, "gc", "--dry-run")
				said := ours.Must(t, "gc")
				t.Logf("killed after %s of %s:\n%s", after.Round(time.Millisecond), took.Round(time.Millisecond), said)
				if strings.Count(found, "would remove") != strings.Count(said, "removed:") {
					t.Errorf("the dry run said:\n%s", found)
				}
				if g.id(t, genuine) != "" { // it was complete
					if strings.Contains(said, "removed:") {
						t.Errorf("xl gc left a domain that it removed things of")
					}
					ours.Must(t, "destroy", g.name)
				}
				if again := ours.Must(t, "gc"); !strings.HasPrefix(again, "nothing to do") {
					t.Errorf("a second gc found:\n%s", again)
				}
				same()
				if now := row(); now != untouched {
					t.Fatalf("the guest beside it was\n%sand is\n%s", untouched, now)
				}
			}
			for after := took / 2; ; after /= 2 {
				g.kill(t, ours, after)
				if dry := ours.Must(t, "gc", "--dry-run"); strings.Contains(dry, "would remove: domain") {
					break
				}
				if g.id(t, genuine) == "" {
					t.Fatalf("no creation was caught half done; the last was killed after %s", after)
				}
				ours.Must(t, "destroy", g.name) // it was complete: the host has become faster
			}
			ours.Must(t, "create", g.cfg) // cleans up for itself
			ours.Must(t, "destroy", g.name)
			same()
		})
	}
	genuine.Must(t, "unpause", beside.name)
	beside.waitReady(t, genuine)
}

// createOnce creates and destroys the guest and returns how long the first took.
func (g *guest) createOnce(t *testing.T, x dom0.Tool) time.Duration {
	t.Helper()
	begin := time.Now()
	x.Must(t, "create", g.cfg)
	took := time.Since(begin)
	x.Must(t, "destroy", g.name)
	return took
}

// kill starts the guest's creation and kills that process after the given time.
func (g *guest) kill(t *testing.T, x dom0.Tool, after time.Duration) {
	t.Helper()
	cmd := exec.Command(x.Path, "create", g.cfg)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	if err := cmd.Process.Kill(); err != nil {
		t.Logf("kill: %v", err) // it was faster
	}
	_ = cmd.Wait()
}
