//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, l := range map[string]load{
		"write all":    {write: true, size: 1 << 16, depth: 2, count: 16, span: 1 << 20},
		"read":         {size: 1 << 16, depth: 1, count: 40, span: 1 << 20},
		"random read":  {random: true, size: 4096, depth: 32, count: 100, span: 1 << 20},
		"random write": {write: true, random: true, size: 4096, depth: 8, count: 3, span: 1 << 20},
	} {
		l.device = file
		took, err := l.run()
		if errors.Is(err, unix.EINVAL) {
			t.Skipf("no direct I/O on %s: %v", file, err)
		}
		if err != nil || took <= 0 {
			t.Errorf("%s: %v, %v", name, took, err)
		}
	}
	if b, err := os.ReadFile(file); err != nil || b[1<<20-2] == 0 || b[7] == 0 {
		t.Errorf("not all of the file was written: %v", err)
	}
	for name, l := range map[string]load{
		"no device":      {device: file + "x", size: 512, depth: 1, count: 1, span: 512},
		"odd size":       {device: file, size: 100, depth: 1, count: 1, span: 512},
		"beyond the end": {device: file, size: 4096, depth: 1, count: 300, span: 2 << 20},
	} {
		if _, err := l.run(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
