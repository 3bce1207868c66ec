package docs_test

import (
	"os/exec"
	"strings"
	"testing"
)

// Every start of a program initialises all packages that are linked into it, used or
// not. speed.md says what these cost, and what is used in their place.
var notLinked = map[string][]string{
	"goxl/cmd/xl": {"net/http", "text/template", "html/template", "encoding/xml", "encoding/gob", "expvar", "log/slog", "os/user", "log/syslog",
		"debug/elf", "testing", "go.uber.org/zap", "github.com/urfave/cli/v2", "goxl/xenctrl/xentest", "goxl/xenstore/server"},
	"goxl/cmd/xenstore": {"crypto/tls", "crypto/rand", "encoding/json", "net/http", "regexp", "text/template", "testing",
		"go.uber.org/zap", "go.uber.org/zap/zapcore", "github.com/urfave/cli/v2", "goxl/xenctrl", "goxl/xenstore/server"},
}

func TestNotLinked(t *testing.T) {
	for program, packages := range notLinked {
		out, err := exec.Command("go", "list", "-deps", program).Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		linked := map[string]bool{}
		for _, p := range strings.Fields(string(out)) {
			linked[p] = true
		}
		if !linked[program] || !linked["goxl/cmd/internal/oneproc"] {
			t.Errorf("%s: the list lacks itself or oneproc", program)
		}
		for _, p := range packages {
			if linked[p] {
				t.Errorf("%s links %s: every start pays for that; go list -deps shows by which import", program, p)
			}
		}
	}
}
