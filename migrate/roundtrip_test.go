package migrate

import (
	"bytes"
	"testing"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// shapes are the guests that are moved.
var shapes = []struct {
	name string
	kind config.DomainType
	boot bootOptions
}{
	{"PV with a linear list", config.TypePV, bootOptions{}},
	{"PV with a tree", config.TypePV, bootOptions{tree: true}},
	{"PVH", config.TypePVH, bootOptions{}},
}

// restore goes on with a saved guest.
func (w *world) restore(saved []byte, o domains.CreateOptions) abi.DomID {
	w.Helper()
	r := bytes.NewReader(saved)
	in, err := Open(r)
	w.must(err)
	id, err := in.Restore(w.Context(), w.m, o)
	w.must(err)
	if r.Len() > 0 {
		w.Errorf("%d bytes were not read", r.Len())
	}
	return id
}

func TestSaveRestore(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.boot(s.kind, s.boot)
			want := w.dump(id, false)
			var saved bytes.Buffer
			w.must(Save(t.Context(), w.m, id, &saved, SaveOptions{}))
			if d, _ := w.xen.Domain(id); !d.Shutdown || w.xen.Mappings(id) > 0 {
				t.Errorf("after Save: suspended %t, %d mappings", d.Shutdown, w.xen.Mappings(id))
			}
			w.must(w.m.Destroy(t.Context(), id))
			w.nothing()
			other := newWorld(t)
			got := other.restore(saved.Bytes(), domains.CreateOptions{})
			other.runs(got)
			other.same(want, other.dump(got, true))
			other.must(other.m.Destroy(t.Context(), got))
			other.nothing()
		})
	}
}
