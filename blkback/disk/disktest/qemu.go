// Package disktest lets QEMU's tools judge disk images in tests.
package disktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"goxl/lab"
)

// Need makes sure that QEMU's tools are there and installs them if not. A test that
// cannot have them fails: without a judge it would say nothing.
func Need(t testing.TB) {
	t.Helper()
	if err := install(); err != nil {
		t.Fatal(err)
	}
}

var install = sync.OnceValue(func() error {
	return lab.Need(context.Background(), nil, "qemu-img", "qemu-io", "qemu-nbd")
})

// Dir is a directory for the images of a test: in memory where there is such a file
// system, since QEMU's tools and ours flush all the time.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "goxl-disktest-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Img runs qemu-img and returns what it says.
func Img(t testing.TB, args ...string) string {
	t.Helper()
	return run(t, "qemu-img", args...)
}

// IO runs commands of qemu-io on an image.
func IO(t testing.TB, format, path string, commands ...string) string {
	t.Helper()
	args := []string{"-f", format}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	return run(t, "qemu-io", append(args, path)...)
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// TB is what a judgement needs of a test; a *rapid.T is one too.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
}

// Verdict is what qemu-img check found.
type Verdict struct {
	Corruptions int `json:"corruptions"`
	Leaks       int `json:"leaks"`
	CheckErrors int `json:"check-errors"`
}

// Check has qemu-img look over an image: errors end the test, leaks are returned.
func Check(t TB, format, path string) int {
	t.Helper()
	cmd := exec.Command("qemu-img", "check", "--output=json", "-f", format, path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var v Verdict
	if jerr := json.Unmarshal(out, &v); jerr != nil {
		t.Fatalf("qemu-img check %s: %v: %s%s", path, err, out, stderr.String())
	}
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 3) || v.Corruptions+v.CheckErrors > 0 {
		t.Fatalf("qemu-img check %s: %v\n%s%s", path, err, out, stderr.String())
	}
	return v.Leaks
}

// Contents is what QEMU reads from a whole image. It uses dir for a copy.
func Contents(t TB, dir, format, path string) []byte {
	t.Helper()
	rawPath := filepath.Join(dir, "contents.raw")
	if out, err := exec.Command("qemu-img", "convert", "-f", format, "-O", "raw", path, rawPath).CombinedOutput(); err != nil {
		t.Fatalf("qemu-img convert %s: %v\n%s", path, err, out)
	}
	b, err := os.ReadFile(rawPath)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return b
}
