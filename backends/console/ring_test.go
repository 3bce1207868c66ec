package console

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// ringPage is a page with these indices, its output array filled with 0, 1, 2, ….
func ringPage(inCons, inProd, outCons, outProd uint32) []byte {
	p := make([]byte, pageSize)
	for i := range outSize {
		p[outOffset+i] = byte(i)
	}
	le := binary.LittleEndian
	le.PutUint32(p[3072:], inCons)
	le.PutUint32(p[3076:], inProd)
	le.PutUint32(p[3080:], outCons)
	le.PutUint32(p[3084:], outProd)
	return p
}

func TestPeekOutput(t *testing.T) {
	for _, tt := range []struct {
		name       string
		cons, prod uint32
		n          int
		first      byte
		bad        bool
	}{
		{"nothing", 5, 5, 0, 0, false},
		{"three bytes", 5, 8, 3, 5, false},
		{"over the end of the array", 2046, 2050, 4, 0xfe, false},
		{"over the end of the numbers", 0xfffffffe, 2, 4, 0xfe, false},
		{"full", 7, 7 + 2048, 2048, 7, false},
		{"one too many", 7, 7 + 2049, 0, 0, true},
		{"backwards", 8, 7, 0, 0, true},
		{"half the numbers", 0, 1 << 31, 0, 0, true},
		{"the largest", 1, 0, 0, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got [outSize]byte
			n, from, err := peekOutput(ringPage(0, 0, tt.cons, tt.prod), got[:])
			if n != tt.n || from != tt.cons || errors.Is(err, ErrRing) != tt.bad {
				t.Fatalf("peekOutput() = %d, %d, %v; want %d, %d, broken %v", n, from, err, tt.n, tt.cons, tt.bad)
			}
			for i, b := range got[:n] {
				if want := tt.first + byte(i); b != want {
					t.Fatalf("byte %d is %#x, want %#x", i, b, want)
				}
			}
		})
	}
}

func TestPutInput(t *testing.T) {
	for _, tt := range []struct {
		name       string
		cons, prod uint32
		offer, n   int
	}{
		{"into an empty ring", 9, 9, 5, 5},
		{"over the end of the array", 1020, 1022, 8, 8},
		{"over the end of the numbers", 0xffffffff, 0xffffffff, 3, 3},
		{"more than fits", 0, 1000, 100, 24},
		{"into a full ring", 0, 1024, 1, 0},
		{"indices apart", 0, 1025, 1, 0},
		{"backwards", 1, 0, 1, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			page := ringPage(tt.cons, tt.prod, 0, 0)
			src := bytes.Repeat([]byte{0xaa}, tt.offer)
			if room := inputRoom(page); min(room, tt.offer) != tt.n {
				t.Errorf("inputRoom() = %d", room)
			}
			if n := putInput(page, src); n != tt.n {
				t.Errorf("putInput() = %d, want %d", n, tt.n)
			}
			if prod := binary.LittleEndian.Uint32(page[3076:]); prod != tt.prod+uint32(tt.n) {
				t.Errorf("in_prod = %#x", prod)
			}
			if before := ringPage(tt.cons, 0, 0, 0); !bytes.Equal(page[1024:3076], before[1024:3076]) {
				t.Error("something else changed")
			}
			if got := bytes.Count(page[:inSize], []byte{0xaa}); got != tt.n {
				t.Errorf("%d bytes written, want %d", got, tt.n)
			}
		})
	}
}

// FuzzRing has every page that a guest can make go through all operations: none may
// touch what is not the ring's, or give more than the ring has.
func FuzzRing(f *testing.F) {
	f.Add(uint32(0), uint32(0), uint32(0), uint32(2048), []byte("abc"))
	f.Add(uint32(1024), uint32(0), uint32(0xffffffff), uint32(0), []byte{})
	f.Add(uint32(3), uint32(2), uint32(9), uint32(8), bytes.Repeat([]byte("x"), 2000))
	f.Fuzz(func(t *testing.T, inCons, inProd, outCons, outProd uint32, typed []byte) {
		page := ringPage(inCons, inProd, outCons, outProd)
		var out [outSize]byte
		n, from, err := peekOutput(page, out[:])
		if n < 0 || n > outSize || from != outCons || err != nil && n != 0 {
			t.Fatalf("peekOutput() = %d, %d, %v", n, from, err)
		}
		takeOutput(page, from+uint32(n))
		room := inputRoom(page)
		if put := putInput(page, typed); put > room || put > len(typed) {
			t.Fatalf("putInput() = %d of %d with room for %d", put, len(typed), room)
		}
		if !bytes.Equal(page[3089:], make([]byte, pageSize-3089)) {
			t.Fatal("the rest of the page changed")
		}
	})
}

// TestRingKeepsOrder: what one side writes in any pieces, the other reads in order.
func TestRingKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.Uint32().Draw(t, "start")
		page := ringPage(start, start, start, start)
		guest := &guestEnd{page: page}
		var printed, read, sent, got []byte
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			b := rapid.SliceOfN(rapid.Byte(), 0, 1500).Draw(t, "bytes")
			if rapid.Bool().Draw(t, "output") {
				printed = append(printed, b[:guest.print(b)]...)
				var out [outSize]byte
				n, from, err := peekOutput(page, out[:])
				if err != nil {
					t.Fatal(err)
				}
				n = rapid.IntRange(0, n).Draw(t, "taken")
				read = append(read, out[:n]...)
				takeOutput(page, from+uint32(n))
			} else {
				sent = append(sent, b[:putInput(page, b)]...)
				got = append(got, guest.read(rapid.IntRange(0, 1024).Draw(t, "read"))...)
			}
		}
		if !bytes.HasPrefix(printed, read) || len(printed)-len(read) > outSize {
			t.Fatalf("printed %d bytes, read %d that differ", len(printed), len(read))
		}
		if !bytes.HasPrefix(sent, got) || len(sent)-len(got) > inSize {
			t.Fatalf("sent %d bytes, the guest got %d that differ", len(sent), len(got))
		}
	})
}
