package lab

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

func TestArchiveIsReadableByCpio(t *testing.T) {
	var out bytes.Buffer
	a := &archive{w: &out}
	a.dir("dev")
	a.char("dev/console", 5, 1)
	a.file("init", 0o755, []byte("#!/bin/sh\n"))
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if out.Len()%4 != 0 || !strings.HasPrefix(out.String(), "070701") {
		t.Errorf("%d bytes, beginning with %.6q", out.Len(), out.String())
	}
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("no cpio here to judge it")
	}
	cmd := exec.Command(cpio, "-itv", "--quiet")
	cmd.Stdin = &out
	list, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("cpio: %v\n%s", err, list)
	}
	for _, want := range []string{"drwxr-xr-x", "5,   1", "-rwxr-xr-x", " init"} {
		if !strings.Contains(string(list), want) {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
}
