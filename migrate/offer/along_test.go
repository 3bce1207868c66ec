package offer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goxl/domains/config"
	"goxl/migrate/disks"
)

// TestAlong asks about disks that go along: those that cannot be put there are told, and
// none is compared with what is there.
func TestAlong(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	if err := os.WriteFile(there, make([]byte, 512), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		path  string
		along Along
		want  string
	}{
		{filepath.Join(dir, "new"), Along{Size: 1 << 20, Used: 512}, ""},
		{there, Along{Size: 1 << 20, Overwrite: true}, ""},
		{there, Along{Size: 1 << 20}, "xvdb cannot go along: there " + there + " is there already: --overwrite-disks replaces it"},
		{filepath.Join(dir, "none", "disk"), Along{Size: 1 << 20}, "no such file or directory"},
		{filepath.Join(dir, "new"), Along{Size: 1 << 60, Used: 1 << 60}, "no room for it: it takes 1152921504606847488 bytes"},
		{"/dev/vg/disk", Along{Size: 1 << 20}, "no place for a file"},
		{filepath.Join(dir, "new"), Along{Size: 1 << 20, Used: -1 << 40}, ""},
	} {
		_, m := newHost(t)
		q, spec := asked(t, m, func(s *config.Spec, g *Guest) {
			for _, name := range []string{"xvda", "xvdb"} {
				s.Disks = append(s.Disks, config.Disk{VDev: config.Some(name), Format: config.FormatRaw, ReadWrite: 1, BackendType: config.DiskQDisk})
			}
			s.Disks[0].Path, s.Disks[1].Path = config.Some(filepath.Join(dir, "first")), config.Some(tt.path)
			g.Along = map[string]Along{"xvda": {Size: 512, Used: 512}, "xvdb": tt.along}
		})
		a := exchange(t, m, q)
		if !a.Speaks(disks.Name) {
			t.Error("it takes no disks")
		}
		var got []string
		for _, f := range Compare(m, q, spec, a) {
			got = append(got, f.String())
		}
		if text := fmt.Sprint(got); (tt.want == "") != (len(got) == 0) || !strings.Contains(text, tt.want) {
			t.Errorf("%s, %+v: %s", tt.path, tt.along, text)
		}
		if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
			t.Errorf("in the folder is %v, %v", list, err)
		}
	}
}
