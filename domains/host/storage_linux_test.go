package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestStorage(t *testing.T) {
	h, dir := New(DefaultPaths()), t.TempDir()
	for _, tt := range []struct {
		name    string
		size    int64
		samples int
	}{
		{"empty", 0, 0}, {"less than a block", 4095, 0}, {"one block", 4096, 1}, {"two and a half", 10240, 2},
		{"sixteen", 16 * 4096, 16}, {"a MiB", 1 << 20, 16}, {"a TiB without blocks", 1 << 40, 16},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(dir, tt.name)
			if err := os.WriteFile(file, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(file, tt.size); err != nil {
				t.Skip(err) // a file system without such large files
			}
			s, err := h.Storage(file)
			if err != nil || s.Size != tt.size || s.Block || s.ID != "" || len(s.Samples) != tt.samples {
				t.Fatalf("%+v, %v", s, err)
			}
			if tt.samples == 0 {
				return
			}
			f, err := os.OpenFile(file, os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			last := (tt.size/4096 - 1) * 4096
			if _, err := f.WriteAt([]byte{1}, last+4095); err != nil {
				t.Fatal(err)
			}
			now, err := h.Storage(file)
			if err != nil || now.Samples[tt.samples-1] == s.Samples[tt.samples-1] {
				t.Errorf("the last block was written and shows no change (%v)", err)
			}
		})
	}
	if _, err := h.Storage(filepath.Join(dir, "none")); !os.IsNotExist(err) {
		t.Errorf("error %v", err)
	}
	for _, path := range []string{dir, "/dev/null"} {
		if _, err := h.Storage(path); err == nil {
			t.Errorf("%s is a disk", path)
		}
	}
	if id := h.BootID(); len(id) != 36 || id != h.BootID() {
		t.Errorf("boot id %q", id)
	}
}
