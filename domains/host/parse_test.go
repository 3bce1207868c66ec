package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseMount(t *testing.T) {
	for _, tt := range []struct {
		line string
		want Mount
		ok   bool
	}{
		{"/dev/vda1 / ext4 rw,relatime 0 0", Mount{"/dev/vda1", "/", false}, true},
		{`/dev/my\040disk /mnt/a\134b ext4 ro,noatime 0 0`, Mount{"/dev/my disk", `/mnt/a\b`, true}, true},
		{"x y z errors=remount-ro 0 0", Mount{"x", "y", false}, true},
		{"short", Mount{}, false},
	} {
		if got, ok := parseMount(tt.line); got != tt.want || ok != tt.ok {
			t.Errorf("parseMount(%q) = %+v, %v", tt.line, got, ok)
		}
	}
}

func FuzzParseMount(f *testing.F) {
	f.Add(`/dev/x /a\0 t o`)
	f.Fuzz(func(t *testing.T, s string) { parseMount(s) })
}

func TestDevNumber(t *testing.T) {
	n := DevNumber{202, 0x1f}
	if s := n.String(); s != "ca:1f" {
		t.Error(s)
	}
	if got, err := ParseDevNumber("ca:1f"); err != nil || got != n {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "7", "7:", ":1", "7:g", "7:1:1", "-7:1"} {
		if _, err := ParseDevNumber(bad); err == nil {
			t.Errorf("%q is no device number", bad)
		}
	}
}

func FuzzParseDevNumber(f *testing.F) {
	f.Add("7:0")
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseDevNumber(s)
		if err != nil {
			return
		}
		if back, err := ParseDevNumber(n.String()); err != nil || back != n {
			t.Errorf("%q: %v, %v", s, back, err)
		}
	})
}

func TestOnlyAssigns(t *testing.T) {
	h := New(Paths{})
	for text, want := range map[string]bool{
		"sbindir=\"/usr/sbin\"\n# comment\n\n": true,
		"A=\"$(reboot)\"\n":                    false,
		"A=\"x\"; reboot\n":                    false,
		"reboot\n":                             false,
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := h.onlyAssigns(path); got != want {
			t.Errorf("onlyAssigns(%q) = %v", text, got)
		}
	}
	if h.onlyAssigns("/does/not/exist") {
		t.Error("a missing file only assigns")
	}
}

func FuzzParseHistory(f *testing.F) {
	f.Add("10 5\n90 6\n", uint64(100))
	f.Add("99999999999999999999 1", uint64(1))
	f.Fuzz(func(t *testing.T, s string, now uint64) {
		entries, _ := parseHistory(strings.NewReader(s), now, DomIDReuse)
		for _, e := range entries {
			if e.sec > now || now-e.sec > 60 || e.dom == 0 {
				t.Errorf("%q at %d: %+v", s, now, e)
			}
		}
	})
}
