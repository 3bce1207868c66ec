// Package examples_test runs every example on a real Xen host, so that none rots.
package examples_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"goxl/xenctrl/xentest"
)

// guestName is the guest that the examples are tried on.
const guestName = "examples-guest"

// TestLabExamples runs the programs one after the other beside one guest, which
// the first of them creates.
func TestLabExamples(t *testing.T) {
	xentest.NeedXen(t)
	cfg := filepath.Join(t.TempDir(), "guest.cfg")
	text := fmt.Sprintf("name = %q\ntype = \"pvh\"\nkernel = \"%[2]s/vmlinuz\"\nramdisk = \"%[2]s/initrd.img\"\nextra = \"console=hvc0\"\nmemory = 160\n",
		guestName, os.Getenv("GOXL_GUEST"))
	if err := os.WriteFile(cfg, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { exec.Command(os.Getenv("GENUINE_XL"), "destroy", guestName).Run() })

	out := example(t, "guests", "create", cfg)
	m := regexp.MustCompile(`^domain (\d+) runs\n$`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("guests create printed %q", out)
	}
	id := m[1]
	for _, tt := range []struct {
		name string
		args []string
		want string // what the output must hold
	}{
		{"guests", nil, guestName},
		{"console", []string{"-t", "30s", guestName}, "Linux version"},
		{"mappage", []string{id}, "domain " + id + ", frame 0x"},
		{"hypercall", nil, "extra version: ."},
		{"watchstore", []string{"-n", "1", "/local/domain/" + id + "/name"}, guestName},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := example(t, tt.name, tt.args...); !strings.Contains(got, tt.want) {
				t.Errorf("%s %s printed no %q but:\n%s", tt.name, strings.Join(tt.args, " "), tt.want, got)
			}
		})
	}
	t.Run("lifecycle", func(t *testing.T) { lifecycle(t, id) })
}

// lifecycle destroys the guest while the program follows it.
func lifecycle(t *testing.T, id string) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv("GOXL_EXAMPLES"), "lifecycle"), "-n", "1")
	var out strings.Builder
	cmd.Stdout = &out
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(errs).ReadString('\n'); err != nil {
		t.Fatalf("lifecycle said %q: %v", line, err)
	}
	if out, err := exec.CommandContext(ctx, os.Getenv("GENUINE_XL"), "destroy", guestName).CombinedOutput(); err != nil {
		t.Fatalf("xl destroy: %v\n%s", err, out)
	}
	if err := cmd.Wait(); err != nil || !strings.Contains(out.String(), "domain "+id+" ") {
		t.Errorf("lifecycle ended with %v and printed %q, want a line about domain %s", err, out.String(), id)
	}
}

// example runs one of the programs and returns what it printed.
func example(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var errs strings.Builder
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv("GOXL_EXAMPLES"), name), args...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, errs.String())
	}
	return string(out)
}
