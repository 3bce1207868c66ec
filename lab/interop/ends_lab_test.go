package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// ending is one way in which a guest ends, and what its configuration says for it.
type ending struct {
	how    string // what the mini guest is told
	action string
}

func (e ending) key() string { return "on_" + strings.ReplaceAll(e.how, "-", "_") }

// again reports whether the guest is built anew.
func (e ending) again() bool { return strings.HasSuffix(e.action, "restart") }

// story is a guest that ends twice: first so that it comes back, then for good. A
// story without a first end has only the second.
type story struct {
	kind        string
	first, last ending
}

// stories have every reason with every action, each once. A core of a PVH guest takes
// the genuine tool minutes under emulation, so those are of PV guests; every other
// action meets both kinds.
func stories() []story {
	reasons := []string{"poweroff", "reboot", "crash", "watchdog", "soft-reset"}
	restarts := []string{"restart", "rename-restart", "coredump-restart"}
	lasts := []string{"destroy", "preserve", "coredump-destroy"}
	var all []story
	for i, reason := range reasons {
		for k, last := range lasts {
			kind := "pv"
			if k < 2 && (i+k)%2 == 0 {
				kind = "pvh"
			}
			next := reasons[(i+1)%len(reasons)]
			all = append(all, story{kind, ending{next, restarts[k]}, ending{reason, last}})
		}
	}
	reset := ending{"soft-reset", "soft-reset"} // for HVM guests alone: both tools end the others
	return append(all, story{kind: "pv", last: reset}, story{kind: "pvh", last: reset})
}

// TestLabEnds has guests of both tools end for every reason with every action. The
// domains that exist afterwards, their names, the cores and the lines of the guests'
// logs are the same.
func TestLabEnds(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	t.Cleanup(dom0.Leftovers(t)) // after the stories, which run beside each other
	for i, s := range stories() {
		name := fmt.Sprintf("%s %s %s, %s %s", s.kind, s.first.how, s.first.action, s.last.how, s.last.action)
		t.Run(name, func(t *testing.T) {
			t.Parallel() // as many as -test.parallel says, two processors unless told
			var ends [2]outcome
			for n, x := range []dom0.Tool{genuine, ours} {
				g := storyGuest(t, fmt.Sprintf("ends-%c-%02d", x.Name[0], i), s)
				t.Cleanup(func() { clearAll(t, g, genuine) })
				ends[n] = s.tell(t, g, x)
			}
			compareEnds(t, ends[0], ends[1])
		})
	}
}

// storyGuest writes the configuration of a story's guest.
func storyGuest(t *testing.T, name string, s story) *guest {
	t.Helper()
	var on strings.Builder
	for _, e := range []ending{s.first, s.last} {
		if e.how != "" {
			fmt.Fprintf(&on, "%s = %q\n", e.key(), e.action)
		}
	}
	return namedMini(t, name, s.kind, 16, 1, "", on.String())
}

// tell takes a guest through a story and returns how things are then.
func (s story) tell(t *testing.T, g *guest, x dom0.Tool) outcome {
	t.Helper()
	c := g.start(t, x)
	if s.first.how != "" {
		old := g.id(t, x)
		c.say(t, "exit "+s.first.how)
		c = g.next(t, x, old)
	}
	c.say(t, "exit "+s.last.how)
	awaitUnfollowed(t, g)
	return g.outcome(t, x)
}

// next waits for the guest to be up in another domain than old.
func (g *guest) next(t *testing.T, x dom0.Tool, old string) *talk {
	t.Helper()
	await(t, g.name+" to be followed in another domain than "+old, func() bool {
		all := follower.FindAllStringSubmatch(g.log(), -1)
		return len(all) > 0 && all[len(all)-1][1] != old
	})
	c := talkTo(t, g, x)
	c.expect(t, ready)
	return c
}

// await is eventually for what is over soon.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(dom0.Patience); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s; xl list:\n%s", what, dom0.Sh(t, "xl list"))
		}
	}
}

// awaitUnfollowed waits until nobody looks after the guest any more: a process of the
// genuine tool, or a record of ours.
func awaitUnfollowed(t *testing.T, g *guest) {
	t.Helper()
	await(t, "nobody to follow "+g.name, func() bool { return !followedByUs(t, g) && !followedByGenuine(g) })
}

func followedByUs(t *testing.T, g *guest) bool {
	t.Helper()
	files, err := filepath.Glob("/run/goxl/guests/*.json")
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(f string) bool {
		text, _ := os.ReadFile(f) // it may go away in this moment
		return strings.Contains(string(text), fmt.Sprintf(`"name":%q`, g.name))
	})
}

func followedByGenuine(g *guest) bool {
	all := follower.FindAllStringSubmatch(g.log(), -1)
	if len(all) == 0 {
		return false
	}
	line, err := os.ReadFile("/proc/" + all[len(all)-1][2] + "/cmdline")
	return err == nil && strings.Contains(string(line), "xl\x00create\x00")
}

// compareEnds compares how things are after the same story told to both tools.
func compareEnds(t *testing.T, genuine, ours outcome) {
	t.Helper()
	t.Logf("afterwards: %q, core of %d bytes, log:\n%s", genuine.Domains, genuine.Core, strings.Join(genuine.Log, "\n"))
	if len(genuine.Log) == 0 {
		t.Error("the genuine tool has written no log")
	}
	compare(t, genuine, ours)
}

func compare[T any](t *testing.T, genuine, ours T) {
	t.Helper()
	if d := cmp.Diff(genuine, ours); d != "" {
		t.Errorf("-genuine +ours:\n%s", d)
	}
}

// clearAll destroys whatever domain bears the guest's name, kept ones included, and
// removes its core.
func clearAll(t *testing.T, g *guest, x dom0.Tool) {
	for _, d := range domainsOf(t, g, x) {
		x.Run(t, dom0.Patience, "destroy", d.id)
	}
	os.Remove(g.core())
}
