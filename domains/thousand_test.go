package domains

import (
	"fmt"
	"testing"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

// A create asks Xen and the kernel the same on a full host as on an empty one, and
// xenstore two things more for each domain that there is: its name, before it makes
// anything and when it writes the new one. A destroy asks the
// same. The least of twenty in a row counts, and a request or two of xenstore may be
// more: a guest's console is looked at once for each piece of news about it, and those
// that come close together are one.
func TestThousandGuests(t *testing.T) {
	const guests, few, news = 1000, 20, 2
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, xentest.Config{Memory: guests * 24 * mib})
			s := w.spec(kind)
			s.Disks, s.NICs = nil, nil
			others := len(w.xen.IDs()) + 1 // domain 0
			var made, gone [guests][classes]int
			for i := range guests {
				s.CInfo.Name = config.Some(fmt.Sprintf("guest-%d", i))
				made[i] = w.counted(func() { w.mustCreate(s, CreateOptions{Paused: true}) })
				made[i][requests] -= 2 * (others + i) // names
			}
			w.listed(guests + others)
			if _, err := w.m.Create(t.Context(), s, CreateOptions{}); CodeOf(err) != string(NameTaken) {
				t.Errorf("a name that is taken: %v", err)
			}
			for i, id := range w.guests() {
				gone[i] = w.counted(func() { w.must(w.m.Destroy(t.Context(), id)) })
			}
			w.nothingLeft()
			for name, all := range map[string][guests][classes]int{"create": made, "destroy": gone} {
				first, last := least(all[:few]), least(all[guests-few:])
				t.Logf("%s: hypercalls, requests of xenstore, system calls: %d at first, %d in the end", name, first, last)
				more := last[requests] - first[requests]
				last[requests] = first[requests]
				if first != last || max(more, -more) > news || first[hypercalls] == 0 || first[requests] == 0 {
					t.Errorf("%s: not the same; of xenstore %d more", name, more)
				}
			}
		})
	}
}

// counted returns how many requests of each class f makes.
func (w *world) counted(f func()) [classes]int {
	w.trip.set(&tripwire{})
	f()
	n := w.trip.counts()
	w.trip.off()
	return n
}

func least(all [][classes]int) [classes]int {
	n := all[0]
	for _, one := range all[1:] {
		for c := range n {
			n[c] = min(n[c], one[c])
		}
	}
	return n
}

// guests are the domains that a test has made.
func (w *world) guests() (ids []abi.DomID) {
	for _, id := range w.xen.IDs() {
		if id != backendDom {
			ids = append(ids, id)
		}
	}
	return ids
}

// listed checks that a list has all domains, each by its name, with one hypercall.
func (w *world) listed(want int) {
	w.Helper()
	var list []Domain
	n := w.counted(func() {
		var err error
		list, err = w.m.List(w.Context())
		w.must(err)
	})
	names := map[string]bool{}
	for _, d := range list {
		names[d.Name] = d.Named
	}
	if len(list) != want || len(names) != want || n != [classes]int{hypercalls: 1, requests: want} {
		w.Errorf("%d domains with %d names listed, want %d; %d requests of each kind", len(list), len(names), want, n)
	}
}
