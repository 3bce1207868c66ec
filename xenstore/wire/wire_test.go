package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"goxl/xenctrl/abi"
)

// The bytes follow struct xsd_sockmsg and the payload forms of xenstore.txt.
var goldenPackets = []struct {
	name string
	p    Packet
	hex  string
}{
	{"read", Packet{OpRead, 1, 0, []byte("/vm\x00")}, "02000000 01000000 00000000 04000000 2f766d00"},
	{"write in a transaction", Packet{OpWrite, 0x01020304, 7, []byte("a\x00b")},
		"0b000000 04030201 07000000 03000000 610062"},
	{"error", Packet{OpError, 9, 0, []byte("ENOENT\x00")}, "10000000 09000000 00000000 07000000 454e4f454e5400"},
	{"part of a list", Packet{OpDirectoryPart, 2, 0, []byte("/\x000\x00")},
		"16000000 02000000 00000000 04000000 2f003000"},
	{"empty", Packet{OpGetFeature, 3, 0, nil}, "17000000 03000000 00000000 00000000"},
}

func TestGoldenPackets(t *testing.T) {
	for _, tt := range goldenPackets {
		t.Run(tt.name, func(t *testing.T) {
			want, err := hex.DecodeString(strings.ReplaceAll(tt.hex, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			got, err := AppendPacket(nil, tt.p)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("AppendPacket = %x, %v, want %x", got, err, want)
			}
			p, rest, err := ParsePacket(append(want, 0xAA))
			if err != nil || len(rest) != 1 || p.Op != tt.p.Op || !bytes.Equal(p.Payload, tt.p.Payload) {
				t.Errorf("ParsePacket = %+v, %x, %v", p, rest, err)
			}
		})
	}
}

func TestPayloadLimit(t *testing.T) {
	if _, err := AppendPacket(nil, Packet{Payload: make([]byte, MaxPayload)}); err != nil {
		t.Errorf("payload of the largest size: %v", err)
	}
	if _, err := AppendPacket(nil, Packet{Payload: make([]byte, MaxPayload+1)}); !errors.Is(err, ErrTooLong) {
		t.Errorf("one byte more: %v, want ErrTooLong", err)
	}
	b := AppendHeader(nil, Header{Op: OpRead, Len: MaxPayload + 1})
	if _, err := NewReader(bytes.NewReader(b), MaxPayload).Next(); !errors.Is(err, ErrTooLong) {
		t.Errorf("header announcing too much: %v, want ErrTooLong", err)
	}
}

func TestReaderEnds(t *testing.T) {
	b, _ := AppendPacket(nil, Packet{Op: OpRead, Payload: []byte("/a\x00")})
	for n := range len(b) {
		want := io.ErrUnexpectedEOF
		if n == 0 {
			want = io.EOF
		}
		if _, err := NewReader(bytes.NewReader(b[:n]), MaxPayload).Next(); err != want {
			t.Errorf("stream of %d bytes: %v, want %v", n, err, want)
		}
		if _, _, err := ParsePacket(b[:n]); err != io.ErrUnexpectedEOF {
			t.Errorf("ParsePacket of %d bytes: %v", n, err)
		}
	}
}

func TestPerms(t *testing.T) {
	for _, tt := range []struct {
		text string
		want Perm
		ok   bool
	}{
		{"n0", Perm{None, 0}, true},
		{"r5", Perm{Read, 5}, true},
		{"w32752", Perm{Write, abi.DomSelf}, true},
		{"b65535", Perm{Both, 65535}, true},
		{"r65536", Perm{}, false},
		{"x1", Perm{}, false},
		{"r", Perm{}, false},
		{"", Perm{}, false},
		{"r-1", Perm{}, false},
		{"r+1", Perm{}, false},
		{"r 1", Perm{}, false},
	} {
		got, err := ParsePerm(tt.text)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("ParsePerm(%q) = %v, %v, want %v", tt.text, got, err, tt.want)
		}
	}
	if _, err := ParsePerms(nil); err == nil {
		t.Error("an empty permission list passed")
	}
}

func TestPermsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perms := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Perm {
			return Perm{Access(rapid.IntRange(0, 3).Draw(t, "access")), abi.DomID(rapid.Uint16().Draw(t, "domid"))}
		}), 1, 8).Draw(t, "perms")
		got, err := ParsePerms(AppendPerms(nil, perms))
		if d := cmp.Diff(perms, got); err != nil || d != "" {
			t.Fatalf("%v\n%s", err, d)
		}
	})
}

func TestStrings(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want []string
	}{
		{"", []string{}},
		{"\x00", []string{""}},
		{"a\x00", []string{"a"}},
		{"a\x00bc\x00", []string{"a", "bc"}},
		{"a\x00bc", []string{"a", "bc"}},
	} {
		if d := cmp.Diff(tt.want, Strings([]byte(tt.in))); d != "" {
			t.Errorf("Strings(%q):\n%s", tt.in, d)
		}
	}
}

func TestPaths(t *testing.T) {
	for _, tt := range []struct {
		path string
		ok   bool
	}{
		{"/", true}, {"/a", true}, {"a/b-c_d@9", true}, {"@releaseDomain", true},
		{"", false}, {"//", false}, {"/a/", false}, {"/a//b", false}, {"/a.b", false}, {"/a b", false}, {"/\x00", false},
		{"/" + strings.Repeat("a", MaxAbsPath-1), true},
		{"/" + strings.Repeat("a", MaxAbsPath), false},
		{strings.Repeat("a", MaxRelPath), true},
		{strings.Repeat("a", MaxRelPath+1), false},
	} {
		if err := CheckPath(tt.path); (err == nil) != tt.ok {
			t.Errorf("CheckPath(%.20q) = %v, want ok=%v", tt.path, err, tt.ok)
		}
	}
}

func TestIsChild(t *testing.T) {
	for _, tt := range []struct {
		parent, path string
		want         bool
	}{
		{"/", "/a", true}, {"/", "@releaseDomain", false}, {"/a", "/a", true}, {"/a", "/a/b", true},
		{"/a", "/ab", false}, {"/a/b", "/a", false}, {"@releaseDomain", "@releaseDomain/3", true},
	} {
		if got := IsChild(tt.parent, tt.path); got != tt.want {
			t.Errorf("IsChild(%q, %q) = %v", tt.parent, tt.path, got)
		}
	}
}

func TestErrorNames(t *testing.T) {
	for _, e := range errnos {
		if got := ErrorOf(e.no); got != Error(e.name) {
			t.Errorf("ErrorOf(%v) = %s, want %s", e.no, string(got), e.name)
		}
		if !errors.Is(ParseError([]byte(e.name+"\x00")), e.no) {
			t.Errorf("%s does not match %v", e.name, e.no)
		}
	}
	if !errors.Is(ParseError([]byte("EQUOTA\x00")), syscall.EINVAL) || !Error("EQUOTA").Quota() {
		t.Error("EQUOTA is no quota error with EINVAL")
	}
	if s := Error("\x1b[31m\n").Error(); strings.ContainsAny(s, "\x1b\n") {
		t.Errorf("a hostile name reaches the terminal: %q", s)
	}
}

func FuzzParsePacket(f *testing.F) {
	for _, g := range goldenPackets {
		b, _ := AppendPacket(nil, g.p)
		f.Add(b)
	}
	f.Add(AppendHeader(nil, Header{Len: 1 << 31}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, rest, err := ParsePacket(b)
		if err != nil {
			return
		}
		again, err := AppendPacket(nil, p)
		if err != nil || !bytes.Equal(append(again, rest...), b) {
			t.Errorf("%x became %x, %v", b, again, err)
		}
	})
}

func FuzzParsePerms(f *testing.F) {
	f.Add([]byte("n0\x00r5\x00"))
	f.Add([]byte("b65535"))
	f.Fuzz(func(t *testing.T, b []byte) {
		perms, err := ParsePerms(b)
		if err != nil {
			return
		}
		again, err := ParsePerms(AppendPerms(nil, perms))
		if d := cmp.Diff(perms, again); err != nil || d != "" {
			t.Errorf("%v\n%s", err, d)
		}
	})
}
