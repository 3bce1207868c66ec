package server_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"goxl/xenstore/server"
)

// TestGenuineTestXenstore runs Xen's own tools/tests/xenstore, which TEST_XENSTORE
// names, against the server.
func TestGenuineTestXenstore(t *testing.T) {
	prog := os.Getenv("TEST_XENSTORE")
	if prog == "" {
		t.Skip("TEST_XENSTORE does not name Xen's test-xenstore")
	}
	runGenuine(t, prog)
}

// runGenuine runs every test of prog several times, then random ones for a while.
func runGenuine(t *testing.T, prog string) {
	srv := server.New(server.Options{})
	defer srv.Close()
	socket := filepath.Join(t.TempDir(), "socket")
	if err := srv.Listen(socket); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-i", "20"}, {"-r", "2"}} {
		cmd := exec.Command(prog, args...)
		cmd.Env = append(os.Environ(), "XENSTORED_PATH="+socket)
		out, err := cmd.CombinedOutput()
		t.Logf("%s %s\n%s", prog, strings.Join(args, " "), out)
		if err != nil {
			t.Errorf("%v", err)
		}
	}
	if left := srv.Paths(); len(left) != 3+3 { // and /local/domain/0
		t.Errorf("left behind: %v", left)
	}
}
