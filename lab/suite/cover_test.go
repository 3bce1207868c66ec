package suite

import (
	"strings"
	"testing"

	"goxl/lab"
)

// TestPeers tells which second hosts each release has.
func TestPeers(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    Options
		want map[lab.Release]string
	}{
		{"cover", Options{}, map[lab.Release]string{lab.Xen414: "4.17", lab.Xen417: "4.17 4.20", lab.Xen420: ""}},
		{"whole matrix", Options{Full: true}, map[lab.Release]string{lab.Xen414: "4.14 4.17", lab.Xen417: "4.17 4.20", lab.Xen420: "4.20"}},
		{"a piece of it", Options{Full: true, Peers: []string{"4.17"}}, map[lab.Release]string{lab.Xen414: "4.17", lab.Xen417: "4.17", lab.Xen420: ""}},
		{"chosen", Options{Peers: []string{"4.14", "4.20"}}, map[lab.Release]string{lab.Xen414: "4.14", lab.Xen417: "4.20", lab.Xen420: "4.20"}},
	} {
		for here, want := range tt.want {
			r := &runner{Options: tt.o}
			var got []string
			for _, p := range r.peers(Target{Release: here}) {
				got = append(got, p.Xen)
			}
			if strings.Join(got, " ") != want {
				t.Errorf("%s: beside %s: %q, want %q", tt.name, here.Xen, got, want)
			}
		}
	}
}
