package dom0

import (
	"os"
	"testing"
)

// Full reports whether the whole of every matrix is asked for.
func Full() bool { return os.Getenv("GOXL_MATRIX") == "full" }

// InCoverOn leaves a test that says the same on every release to one of them, and to
// make matrix.
func InCoverOn(t *testing.T, release string) {
	t.Helper()
	if have := os.Getenv("GOXL_XEN"); have != release && !Full() {
		t.Skipf("make test has it on %s, make matrix on %s, too", release, have)
	}
}
