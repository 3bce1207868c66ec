package device

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestChooseBackend(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "disk.img")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		disk Disk
		tap  bool
		want DiskBackend
		is   error
	}{
		{"raw file", Disk{Target: file}, false, BackendPhy, nil},
		{"directory", Disk{Target: dir}, false, BackendQDisk, nil},
		{"character device", Disk{Target: "/dev/null", Backend: BackendPhy}, false, "", nil},
		{"missing file", Disk{Target: dir + "/no"}, false, "", fs.ErrNotExist},
		{"missing file for qemu is qemu's affair", Disk{Target: dir + "/no", Backend: BackendQDisk}, false, BackendQDisk, nil},
		{"qcow2", Disk{Target: file, Format: FormatQCow2}, false, BackendQDisk, nil},
		{"qcow2 forced to phy", Disk{Target: file, Format: FormatQCow2, Backend: BackendPhy}, false, "", nil},
		{"on a server", Disk{Target: "nbd://example.org/x"}, false, BackendQDisk, nil},
		{"at a server's socket", Disk{Target: "nbd+unix:///x?socket=/run/x", Format: FormatRaw}, true, BackendQDisk, nil},
		{"on a server, forced to phy", Disk{Target: "nbd://example.org/x", Backend: BackendPhy}, false, "", nil},
		{"script", Disk{Target: "iqn:x", Script: "block-iscsi"}, false, BackendPhy, nil},
		{"script with qdisk", Disk{Target: "x", Script: "block-iscsi", Backend: BackendQDisk}, false, "", nil},
		{"driver domain", Disk{Target: "/dev/there", BackendDom: 3}, false, BackendPhy, nil},
		{"empty, no CD", Disk{Format: FormatEmpty}, false, "", ErrTarget},
		{"empty CD before 4.19", Disk{Format: FormatEmpty, CDROM: true}, false, BackendQDisk, nil},
		{"empty CD", Disk{Format: FormatEmpty, CDROM: true}, true, BackendPhy, nil},
		{"tap before 4.19", Disk{Target: file, Backend: BackendTap}, false, "", nil},
		{"tap", Disk{Target: file, Backend: BackendTap, Format: FormatVHD}, true, BackendTap, nil},
		{"virtio", Disk{Target: file, Spec: SpecVirtio}, false, BackendStandalone, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.disk.VDev = "xvda"
			got, err := tt.disk.ChooseBackend(os.Stat, tt.tap)
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("error %v is not %v", err, tt.is)
			}
		})
	}
}

func TestParseBackendPath(t *testing.T) {
	good := Device{Dom: 7, Kind: QDisk, ID: 51712, Backend: 0, BackendKind: QDisk}
	got, err := ParseBackendPath("/local/domain/0/backend/qdisk/7/51712")
	if err != nil || got != good || got.BackendPath() != "/local/domain/0/backend/qdisk/7/51712" {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, bad := range []string{
		"", "/", "/local/domain/0/backend/qdisk/7", "/local/domain/x/backend/vbd/7/1",
		"/local/domain/0/backend/../7/1", "/local/domain/0/backend/vbd/-1/1",
		"/local/domain/99999/backend/vbd/7/1", "/local/domain/0/backend/vbd/7/x",
	} {
		if d, err := ParseBackendPath(bad); err == nil {
			t.Errorf("ParseBackendPath(%q) = %+v", bad, d)
		}
	}
}

func FuzzParseBackendPath(f *testing.F) {
	f.Add("/local/domain/0/backend/vbd/1/51712")
	f.Add("/local/domain/0/backend/console/1/0/state")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseBackendPath(s)
		if err == nil && (!d.Kind.Known() || d.ID < 0) {
			t.Errorf("%q gave %+v", s, d)
		}
	})
}
