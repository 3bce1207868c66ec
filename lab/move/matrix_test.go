package move

import (
	"fmt"
	"os"
	"slices"
	"testing"
)

// way is how a guest goes from host to host.
type way string

const (
	file  way = "saved and restored"
	live  way = "migrated live"
	quick way = "migrated quickly"
)

// move is one way of a guest from host to host, and who has which half.
type move struct {
	kind     string // "pvh" or "pv"
	way      way
	from, to string // "ours" or "genuine"
}

// String is also what the table in the README is made of, see package suite.
func (m move) String() string { return fmt.Sprintf("%s/%s from %s to %s", m.kind, m.way, m.from, m.to) }

// pairs are the releases of two hosts, from old to new.
var pairs = []string{"4.14 to 4.14", "4.14 to 4.17", "4.17 to 4.17", "4.17 to 4.20", "4.20 to 4.20"}

// matrix is all there is to try between two hosts. From one genuine xl to the other
// is not our concern, and to move quickly is what ours alone does as a sender.
func matrix() (list []move) {
	for _, kind := range []string{"pvh", "pv"} {
		for _, w := range []way{file, live, quick} {
			for _, ends := range [][2]string{{"ours", "ours"}, {"ours", "genuine"}, {"genuine", "ours"}} {
				if w != quick || ends[0] == "ours" {
					list = append(list, move{kind, w, ends[0], ends[1]})
				}
			}
		}
	}
	return list
}

// cover is what of the matrix make test has between hosts of different releases, and of
// 4.17: any two of kind, way, ends and releases come together somewhere. On one
// release the guests of lab/interop are moved within one host.
var cover = map[string][]move{
	"4.14 to 4.17": {{"pvh", file, "ours", "genuine"}, {"pv", live, "genuine", "ours"}, {"pvh", quick, "ours", "ours"}},
	"4.17 to 4.17": {{"pv", file, "genuine", "ours"}, {"pvh", live, "ours", "ours"}, {"pv", quick, "ours", "genuine"}, {"pvh", quick, "ours", "genuine"}},
	"4.17 to 4.20": {{"pv", file, "ours", "ours"}, {"pvh", live, "ours", "genuine"}, {"pvh", quick, "ours", "ours"}, {"pvh", live, "genuine", "ours"}},
}

func full() bool { return os.Getenv("GOXL_MATRIX") == "full" }

// moves is what is tried between two releases.
func moves(pair string) []move {
	if full() {
		return matrix()
	}
	return cover[pair]
}

// TestCoverIsPairwise holds the cover to what it claims.
func TestCoverIsPairwise(t *testing.T) {
	facets := func(pair string, m move) []string {
		return []string{pair, m.kind, string(m.way), m.from + "/" + m.to}
	}
	have := map[[2]string]bool{}
	for pair, list := range cover {
		for _, m := range list {
			if !slices.Contains(pairs, pair) || !slices.Contains(matrix(), m) {
				t.Errorf("%s from %s is none of the matrix", m, pair)
			}
			f := facets(pair, m)
			for i, a := range f {
				for _, b := range f[i+1:] {
					have[[2]string{a, b}] = true
				}
			}
		}
	}
	for pair := range cover {
		for _, m := range matrix() {
			f := facets(pair, m)
			for i, a := range f {
				for _, b := range f[i+1:] {
					if !have[[2]string{a, b}] {
						t.Errorf("%s and %s never come together", a, b)
						have[[2]string{a, b}] = true
					}
				}
			}
		}
	}
}
