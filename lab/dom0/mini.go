package dom0

import (
	"fmt"
	"os"
	"testing"
)

// Mini is a mini guest (see package mini) as its configuration describes it.
type Mini struct {
	Name, Kind string // Kind is "pv" or "pvh"
	MiB        int
	VCPUs      int
	Options    string // its command line
	More       string // more lines of the configuration
}

// Write writes the configuration to a file.
func (m *Mini) Write(t *testing.T, path string) {
	t.Helper()
	text := fmt.Sprintf("name = %q\ntype = %q\nkernel = %q\nextra = %q\nmemory = %d\nvcpus = %d\n%s",
		m.Name, m.Kind, Getenv(t, "GOXL_MINI"), m.Options, m.MiB, m.VCPUs, m.More)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
