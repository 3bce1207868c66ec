package stream

import (
	"bytes"
	"encoding/hex"
	"io"
	"strings"
	"testing"
)

// diskBodies are one record of each kind, in their order.
func diskBodies() []Body {
	return []Body{
		&DiskBegin{Disk: 1, Overwrite: true, Size: 1 << 20, Used: 0x5000, Format: "qcow2", Name: "xvda"},
		&DiskData{Disk: 1, Offset: 0x200, Data: bytes.Repeat([]byte{0xd1}, 512)},
		&DiskZero{Disk: 1, Offset: 0x1000, Length: 0x2000},
		&DiskRound{Disk: 1},
		&DiskEnd{Disk: 1, Sum: [32]byte{1, 2, 31: 9}},
	}
}

// TestGoldenDisks has the bytes of each record. They are ours alone; other versions of
// goxl have to read them.
func TestGoldenDisks(t *testing.T) {
	for i, want := range []string{
		"00006f67 22000000 01000000 01000000 0000100000000000 0050000000000000 71636f773200 78766461 000000000000",
		"01006f67 10020000 01000000 00000000 0002000000000000" + strings.Repeat("d1", 512),
		"02006f67 18000000 01000000 00000000 0010000000000000 0020000000000000",
		"03006f67 08000000 01000000 00000000",
		"04006f67 28000000 01000000 00000000 0102" + strings.Repeat("00", 29) + "09",
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(want, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		w := &Writer{dst: &got, rules: rules{state: inLibxl}}
		if err := w.Write(diskBodies()[i]); err != nil || !bytes.Equal(got.Bytes(), b) {
			t.Errorf("record %d: % x, %v\nwant % x", i, got.Bytes(), err, b)
		}
	}
}

// TestDisksRefused has records that cannot be, and places where none may stand.
func TestDisksRefused(t *testing.T) {
	head := encode(t, Options{}, xlHead("pvh")[:2])
	word := func(v ...uint64) []byte { return append64(nil, v...) }
	for _, tt := range []struct {
		name string
		b    []byte
		want string
	}{
		{"disk 256", raw(TypeDiskRound, word(256)), "disk 256, at most 256"},
		{"no size", raw(TypeDiskBegin, append(word(0, 0, 0), "raw\x00xvda"...)), "a disk of 0 bytes"},
		{"half a sector", raw(TypeDiskBegin, append(word(0, 513, 0), "raw\x00xvda"...)), "a disk of 513 bytes"},
		{"too large", raw(TypeDiskBegin, append(word(0, MaxDisk+512, 0), "raw\x00xvda"...)), "a disk of"},
		{"no name", raw(TypeDiskBegin, append(word(0, 512, 0), "raw\x00"...)), `a disk "" of format "raw"`},
		{"no format", raw(TypeDiskBegin, append(word(0, 512, 0), "xvda"...)), "no name"},
		{"two ends in a name", raw(TypeDiskBegin, append(word(0, 512, 0), "raw\x00xv\x00a"...)), "a disk"},
		{"a long name", raw(TypeDiskBegin, append(word(0, 512, 0), "raw\x00"+strings.Repeat("x", 300)...)), "at most"},
		{"unknown flags", raw(TypeDiskBegin, append(word(2<<32, 512, 0), "raw\x00xvda"...)), "flags 0x2"},
		{"no data", raw(TypeDiskData, word(0, 0)), "0 bytes at 0"},
		{"half a sector of data", raw(TypeDiskData, make([]byte, 16+700)), "a multiple of 512"},
		{"data off a sector", raw(TypeDiskData, append(word(0, 7), make([]byte, 512)...)), "512 bytes at 7"},
		{"data too far away", raw(TypeDiskData, append(word(0, 1<<63), make([]byte, 512)...)), "of a disk"},
		{"zeroes too far away", raw(TypeDiskZero, word(0, 512, 1<<64-512)), "of a disk"},
		{"no zeroes", raw(TypeDiskZero, word(0, 512, 0)), "0 bytes at 512"},
		{"a short checksum", raw(TypeDiskEnd, make([]byte, 32)), "want 40"},
		{"an unknown one of ours", raw(ours|(firstOfOurs+5), nil), "a mandatory record that is unknown"},
	} {
		r := NewReader(bytes.NewReader(append(bytes.Clone(head), tt.b...)), Options{})
		var err error
		for err == nil {
			_, err = r.Next()
		}
		if err == io.EOF || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	var out bytes.Buffer
	w := NewWriter(&out, Options{Outermost: LayerLibxc})
	if err := w.Write(&LibxcHeader{3, GuestHVM, 4, 17}); err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&DiskRound{}); err == nil {
		t.Error("before the end of the static data one is taken")
	}
}
