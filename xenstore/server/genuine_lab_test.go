package server_test

import (
	"path/filepath"
	"testing"

	"goxl/xenctrl/xentest"
)

// TestLabGenuineTestXenstore runs the test program of the host's release, which
// Debian installs beside xl.
func TestLabGenuineTestXenstore(t *testing.T) {
	xentest.NeedXen(t)
	var found []string
	for _, name := range []string{"test-xenstore", "xs-test"} { // the latter until 4.15
		progs, err := filepath.Glob("/usr/lib/xen-*/bin/" + name)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, progs...)
	}
	if len(found) == 0 {
		t.Skip("this release comes without test-xenstore")
	}
	for _, prog := range found {
		t.Run(filepath.Base(prog), func(t *testing.T) { runGenuine(t, prog) })
	}
}
