package capture

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"
)

// golden is a file of two frames and statistics, block by block. pcapgo of
// gopacket 1.1.19 reads it as what TestWriter writes.
const golden = `
0a0d0d0a 28000000 4d3c2b1a 0100 0000 ffffffffffffffff 0400 0400 676f786c 0000 0000 28000000
01000000 38000000 0100 0000 00000400 0200 0600 766966372e300000 0600 0600 00163e0102030000 0900 0100 09000000 0000 0000 38000000
06000000 34000000 00000000 32349717 15cf8b6b 05000000 07000000 0102030405000000 0200 0400 01000000 0000 0000 34000000
06000000 30000000 00000000 32349717 16cf8b6b 04000000 04000000 0a0b0c0d 0200 0400 02000000 0000 0000 30000000
05000000 34000000 00000000 32349717 16cf8b6b 0400 0800 0900000000000000 0500 0800 0200000000000000 0000 0000 34000000
`

func TestWriter(t *testing.T) {
	want, err := hex.DecodeString(strings.Join(strings.Fields(golden), ""))
	if err != nil {
		t.Fatal(err)
	}
	var f bytes.Buffer
	w, err := NewWriter(&f, Interface{Name: "vif7.0", MAC: [6]byte{0, 0x16, 0x3e, 1, 2, 3}})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(0, 0x1797343200000000+0x6b8bcf15)
	last := Packet{at.Add(1), []byte{10, 11, 12, 13}, 4, false}
	err = errors.Join(w.Packet(Packet{at, []byte{1, 2, 3, 4, 5}, 7, true}), w.Packet(last), w.Stats(last.Time, 9, 2))
	if err != nil || !bytes.Equal(f.Bytes(), want) {
		t.Errorf("%v, wrote\n%x, want\n%x", err, f.Bytes(), want)
	}
}

// full is a file that takes so many writes.
type full int

func (f *full) Write(b []byte) (int, error) {
	if *f--; *f < 0 {
		return 0, errors.New("no space left")
	}
	return len(b), nil
}

func TestWriterTellsOfAFullDisk(t *testing.T) {
	for n := range 2 {
		f := full(n)
		if _, err := NewWriter(&f, Interface{Name: "x"}); err == nil {
			t.Errorf("no error after %d writes", n)
		}
	}
	f := full(2)
	w, err := NewWriter(&f, Interface{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Packet(Packet{}); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("Packet() = %v", err)
	}
}
