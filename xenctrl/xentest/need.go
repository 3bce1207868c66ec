package xentest

import (
	"os"
	"testing"
)

// NeedXen skips a test where there is no Xen control domain to run it in. With
// XEN_TEST=require in the environment, as in the lab, it fails instead.
func NeedXen(t testing.TB) {
	t.Helper()
	_, err := os.Stat("/dev/xen/privcmd")
	switch {
	case err == nil:
	case os.Getenv("XEN_TEST") == "require":
		t.Fatalf("needs a Xen control domain: %v", err)
	default:
		t.Skipf("needs a Xen control domain: %v", err)
	}
}
