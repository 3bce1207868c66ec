package xentest

import "testing"

func TestOneInCoversAllOnTheThreeReleases(t *testing.T) {
	t.Setenv("GOXL_MATRIX", "cover")
	for i := range 30 {
		ran := 0
		for _, release := range []string{"4.14", "4.17", "4.20"} {
			t.Setenv("GOXL_XEN", release)
			if OneIn(3, i) {
				ran++
			}
		}
		if ran != 1 {
			t.Errorf("case %d runs on %d of 3 releases, want 1", i, ran)
		}
	}
	t.Setenv("GOXL_MATRIX", "full")
	if !OneIn(1000, 1) {
		t.Error("a case is left out of the full matrix")
	}
}
