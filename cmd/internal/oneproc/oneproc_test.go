package oneproc_test

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"goxl/cmd/internal/oneproc"
)

// start is what a started program sees of processors, before and after All.
func TestMain(m *testing.M) {
	if os.Getenv("GOXL_TEST_START") == "" {
		os.Exit(m.Run())
	}
	fmt.Print(runtime.GOMAXPROCS(0))
	oneproc.All()
	fmt.Println("", runtime.GOMAXPROCS(0))
}

func start(t *testing.T, env ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), "GOXL_TEST_START=1"), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

func TestProcessors(t *testing.T) {
	for _, tt := range []struct{ name, env, want string }{
		{"as many as there are", "GOMAXPROCS=", fmt.Sprintf("1 %d\n", runtime.NumCPU())},
		{"as many as the user says", "GOMAXPROCS=7", "1 7\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := start(t, tt.env); got != tt.want {
				t.Errorf("processors %q, want %q", got, tt.want)
			}
		})
	}
}

// Nothing that allocates may be initialised before, or the processor that goes has
// memory to put back.
func TestComesFirst(t *testing.T) {
	for line := range strings.Lines(start(t, "GODEBUG=inittrace=1")) {
		switch {
		case strings.HasPrefix(line, "init goxl/cmd/internal/oneproc "):
			return
		case strings.HasPrefix(line, "init ") && !strings.Contains(line, " 0 bytes, 0 allocs"):
			t.Errorf("initialised before: %s", line)
		}
	}
	t.Error("oneproc is not initialised")
}
