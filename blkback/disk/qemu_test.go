package disk

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func qemuIO(format, path string, commands ...string) (string, error) {
	args := []string{"-f", format}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	out, err := exec.Command("qemu-io", append(args, path)...).CombinedOutput()
	return string(out), err
}

// holdWithQEMU has qemu-io open an image for writing until stop is called.
func holdWithQEMU(t *testing.T, path string) (stop func()) {
	t.Helper()
	cmd := exec.Command("qemu-io", "-f", "qcow2", path)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Its answer to a command shows that the image is open.
	if _, err := in.Write([]byte("length\n")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "MiB") {
	}
	return func() {
		in.Close()
		cmd.Wait()
	}
}

// forgetBackingFormat turns the header extension with the backing file's format into
// one that nobody knows.
func forgetBackingFormat(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte{0xe2, 0x79, 0x2a, 0xca})
	if at < 0 {
		t.Fatal("the image does not say its backing file's format")
	}
	b[at] = 0x11
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
