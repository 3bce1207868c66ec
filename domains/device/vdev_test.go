package device

import (
	"testing"

	"pgregory.net/rapid"
)

func TestParseVDev(t *testing.T) {
	for _, tt := range []struct {
		name string
		want int // -1: refused
	}{
		{"xvda", 51712}, {"xvdb", 51728}, {"xvdc", 51744}, {"xvdp", 51952},
		{"xvdq", 268439552}, {"xvda1", 51713}, {"xvda15", 51727}, {"xvda16", 1<<28 | 16},
		{"hda", 768}, {"hdb", 832}, {"hdc", 5632}, {"hdd", 5696}, {"hdc2", 5634},
		{"sda", 2048}, {"sdb", 2064}, {"sdp15", 2303},
		{"d0p0", 51712}, {"d1p2", 51730}, {"d0x10p0", 1<<28 | 16<<8},
		{"51712", 51712}, {"0xca00", 51712}, {"0", 0}, {"2147483647", 2147483647},
		{"xvd", -1}, {"xvda01", -1}, {"xvda0", -1}, {"xvda256", -1}, {"hde", -1}, {"sdq", -1},
		{"d0", -1}, {"", -1}, {"2147483648", -1}, {"-1", -1}, {"0b11", -1}, {"1_0", -1},
		{"xvdbzzzzzzzz", -1}, {"xvda ", -1}, {"d1048576p0", -1}, {"d0p256", -1},
	} {
		got, err := ParseVDev(tt.name)
		if (err != nil) != (tt.want < 0) || err == nil && got != tt.want {
			t.Errorf("ParseVDev(%q) = %d, %v, want %d", tt.name, got, err, tt.want)
		}
	}
}

func TestVDevNameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk := rapid.IntRange(0, 1<<20-1).Draw(t, "disk")
		part := rapid.IntRange(0, 255).Draw(t, "part")
		id := xenVDev(disk, part)
		name := VDevName(id)
		back, err := ParseVDev(name)
		if err != nil || back != id {
			t.Fatalf("%d is %q is %d, %v", id, name, back, err)
		}
	})
	for id, want := range map[int]string{768: "xvda", 2048: "xvda", 51713: "xvda1", 1<<28 | 26<<8: "xvdaa"} {
		if got := VDevName(id); got != want {
			t.Errorf("VDevName(%d) = %q, want %q", id, got, want)
		}
	}
}

func FuzzParseVDev(f *testing.F) {
	for _, s := range []string{"xvda", "d1p2", "0x1", "hdc", "xvdzzzz9"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseVDev(s); err == nil && (id < 0 || id > 1<<31-1) {
			t.Errorf("ParseVDev(%q) = %d", s, id)
		}
	})
}
