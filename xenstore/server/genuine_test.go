package server_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"goxl/xenstore/server"
)

// TestGenuineTestXenstore runs Xen's own tools/tests/xenstore against the server.
// Debian does not package that program; TEST_XENSTORE names one that was built.
// TestOperations below covers the same operations without it.
func TestGenuineTestXenstore(t *testing.T) {
	prog := os.Getenv("TEST_XENSTORE")
	if prog == "" {
		t.Skip("TEST_XENSTORE does not name Xen's test-xenstore")
	}
	srv := server.New(server.Options{})
	defer srv.Close()
	socket := filepath.Join(t.TempDir(), "socket")
	if err := srv.Listen(socket); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-i", "50"}, {"-r", "2"}} {
		cmd := exec.Command(prog, args...)
		cmd.Env = append(os.Environ(), "XENSTORED_PATH="+socket)
		out, err := cmd.CombinedOutput()
		t.Logf("%s %s\n%s", prog, strings.Join(args, " "), out)
		if err != nil {
			t.Errorf("%v", err)
		}
	}
	if left := srv.Dump(); len(left) != 3+3 { // and /local/domain/0
		t.Errorf("left behind: %v", srv.Paths())
	}
}
