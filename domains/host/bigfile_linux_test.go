package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"goxl/domains/host"
)

// A big file is there whole, or not at all.
func TestBigFile(t *testing.T) {
	h := host.New(host.Paths{})
	dir := t.TempDir()
	for _, tt := range []struct {
		name, before string
		size         uint64
		commit       bool
		want         string // "" for no file
		err          error
	}{
		{"new", "", 3, true, "new", nil},
		{"replaced", "old and longer", 3, true, "new", nil},
		{"given up", "", 3, false, "", nil},
		{"given up over an old one", "old", 3, false, "", nil},
		{"no room", "", 1 << 60, true, "", syscall.ENOSPC},
		{"no room, and the old one stays", "old", 1 << 60, true, "old", syscall.ENOSPC},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, tt.name)
			if tt.before != "" {
				if err := os.WriteFile(path, []byte(tt.before), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			f, err := h.CreateBig(path, tt.size)
			if !errors.Is(err, tt.err) {
				t.Fatalf("CreateBig() = %v, want %v", err, tt.err)
			}
			if err == nil {
				if _, err := f.Write([]byte("new")); err != nil {
					t.Fatal(err)
				}
				end := f.Abort
				if tt.commit {
					end = f.Commit
				}
				if err := end(); err != nil {
					t.Error(err)
				}
			}
			if b, err := os.ReadFile(path); string(b) != tt.want || tt.want == "" && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the file holds %q, %v, want %q", b, err, tt.want)
			}
		})
	}
}

// What is no regular file is written to as it is, and never removed.
func TestBigFileIsNoRegularFile(t *testing.T) {
	h := host.New(host.Paths{})
	f, err := h.CreateBig("/dev/full", 1<<60)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("x")); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Write to a full device: %v", err)
	}
	if err := f.Abort(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Errorf("the device is gone: %v", err)
	}
}
