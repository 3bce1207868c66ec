package console

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"goxl/xenctrl/abi"
)

var someone = TailInfo{Dom: 7, UUID: abi.UUID{1, 2}, Boot: [16]byte{9}, Begun: time.Unix(1000, 0)}

func mustTail(t *testing.T, dir, name string, who TailInfo, resumed bool) *tail {
	t.Helper()
	tl, r, err := openTail(dir, name, who)
	if err != nil {
		t.Fatal(err)
	}
	if r != resumed {
		t.Fatalf("tail of %s resumed: %v, want %v", name, r, resumed)
	}
	t.Cleanup(func() { tl.Close() })
	return tl
}

func TestTailHeader(t *testing.T) {
	h := TailInfo{Dom: 7, UUID: abi.UUID{0xaa, 0xbb}, Boot: [16]byte{0xcc}, Begun: time.Unix(0x1122, 0),
		Ended: time.Unix(0x3344, 0), Produced: 0x5566, Given: 0x55, Next: 0x7788, Last: 0x33, Logged: 0x99}
	const golden = "676f786c7461696c" + "01000000" + "00000100" + "07000000" + "88770000" +
		"6655000000000000" + "5500000000000000" + "2211000000000000" + "4433000000000000" +
		"aabb0000000000000000000000000000" + "cc000000000000000000000000000000" + "9900000000000000" + "33000000"
	b := padded(h)
	if got := hex.EncodeToString(b); len(b) != tailData || got[:len(golden)] != golden {
		t.Errorf("header is %s", got)
	}
	got, err := parseTail(b)
	if err != nil || got != h {
		t.Errorf("parseTail() = %+v, %v; want %+v", got, err, h)
	}
}

// padded is a header as it stands in the file.
func padded(h TailInfo) []byte {
	b := h.append(nil)
	return append(b, make([]byte, tailData-len(b))...)
}

func FuzzParseTail(f *testing.F) {
	h := someone
	f.Add(padded(h))
	f.Add([]byte("goxltail"))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseTail(b)
		if err != nil {
			return
		}
		if h.Given > h.Produced {
			t.Fatalf("%d of %d bytes given", h.Given, h.Produced)
		}
		again, err := parseTail(padded(h))
		if err != nil || again != h {
			t.Fatalf("parsed again: %+v, %v; want %+v", again, err, h)
		}
		if len(b) < 4*TailSize { // what a file says must not read beyond it
			if kept, err := tailBytes(bytes.NewReader(b), h.Produced); err == nil && len(kept)+tailData > len(b) {
				t.Fatalf("%d bytes kept in a file of %d", len(kept), len(b))
			}
		}
	})
}

// TestTailKeepsTheLast for pieces of all sizes around that of the file.
func TestTailKeepsTheLast(t *testing.T) {
	for _, piece := range []int{1000, 2048, 4095, TailSize - 1, TailSize, TailSize + 1, 3 * TailSize} {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			dir := t.TempDir()
			tl := mustTail(t, dir, "x", someone, false)
			all := numbered(0, 4*TailSize)
			at := 0
			for at < 3*TailSize {
				n := min(piece, len(all)-at)
				if err := tl.Add(all[at:at+n], uint32(at+n), 0); err != nil {
					t.Fatal(err)
				}
				at += n
				want := all[max(at-TailSize, 0):at]
				h, got, err := ReadTail(dir, "x", 0)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("after %d bytes: %d kept (%v), want the last %d", at, len(got), err, len(want))
				}
				if h.Produced != uint64(at) || h.Next != uint32(at) {
					t.Fatalf("after %d bytes: %+v", at, h)
				}
			}
			if got, err := tl.Since(uint64(at - 10)); err != nil || !bytes.Equal(got, all[at-10:at]) {
				t.Errorf("Since = %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestTailGenerations(t *testing.T) {
	dir := t.TempDir()
	for dom := range abi.DomID(5) {
		who := someone
		who.Dom = dom
		tl := mustTail(t, dir, "x", who, false)
		if err := tl.Add(fmt.Appendf(nil, "words of %d", dom), 10, 0); err != nil {
			t.Fatal(err)
		}
		if err := tl.End(time.Unix(2000, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for back, want := range []string{"words of 4", "words of 3", "words of 2"} {
		h, got, err := ReadTail(dir, "x", back)
		if err != nil || string(got) != want || h.Ended != time.Unix(2000, 0) {
			t.Errorf("%d back: %q, %+v, %v; want %q", back, got, h, err, want)
		}
	}
	if _, _, err := ReadTail(dir, "x", 3); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("3 back: %v", err)
	}
}

// TestTailIsResumed by the domain that it is of, and by no other.
func TestTailIsResumed(t *testing.T) {
	for name, change := range map[string]func(*TailInfo){
		"another id":      func(h *TailInfo) { h.Dom++ },
		"another uuid":    func(h *TailInfo) { h.UUID[3]++ },
		"after a restart": func(h *TailInfo) { h.Boot[3]++ },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := mustTail(t, dir, "x", someone, false).Add([]byte("abc"), 3, 0); err != nil {
				t.Fatal(err)
			}
			if tl := mustTail(t, dir, "x", someone, true); tl.Produced != 3 || tl.Next != 3 {
				t.Errorf("resumed: %+v", tl.TailInfo)
			}
			who := someone
			change(&who)
			if tl := mustTail(t, dir, "x", who, false); tl.Produced != 0 {
				t.Errorf("begun anew: %+v", tl.TailInfo)
			}
			if _, got, err := ReadTail(dir, "x", 1); err != nil || string(got) != "abc" {
				t.Errorf("the one before: %q, %v", got, err)
			}
		})
	}
}

func TestPruneTails(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "a-file-of-somebody")
	if err := os.WriteFile(foreign, []byte("not ours"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(foreign, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	for dom := range abi.DomID(maxTails + 5) {
		who, name := someone, fmt.Sprintf("guest%03d", dom)
		who.Dom = dom
		mustTail(t, dir, name, who, false).Close()
		at := time.Unix(10000+int64(dom), 0)
		if err := os.Chtimes(tailPath(dir, name, 0), at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := pruneTails(dir, func(h *TailInfo) bool { return h.Dom == 2 }); err != nil {
		t.Fatal(err)
	}
	for dom, there := range map[int]bool{0: false, 1: false, 2: true, 3: false, 4: false, 5: true, 6: true, 132: true} {
		_, err := os.Stat(tailPath(dir, fmt.Sprintf("guest%03d", dom), 0))
		if (err == nil) != there {
			t.Errorf("tail of guest %d: %v", dom, err)
		}
	}
	if contents(t, foreign) != "not ours" {
		t.Error("somebody's file was changed")
	}
}

// TestTailRename: a guest that takes the name of an earlier one does not take its
// last words from it.
func TestTailRename(t *testing.T) {
	dir := t.TempDir()
	if err := mustTail(t, dir, "web", someone, false).Add([]byte("of the earlier one"), 9, 0); err != nil {
		t.Fatal(err)
	}
	who := someone
	who.Dom++
	tl := mustTail(t, dir, "web--incoming", who, false)
	for range 2 {
		if err := tl.Rename(dir, "web"); err != nil {
			t.Fatal(err)
		}
	}
	if err := tl.Add([]byte("of the one that came"), 9, 0); err != nil {
		t.Fatal(err)
	}
	for back, want := range []string{"of the one that came", "of the earlier one"} {
		if _, got, err := ReadTail(dir, "web", back); err != nil || string(got) != want {
			t.Errorf("%d back: %q, %v; want %q", back, got, err, want)
		}
	}
	if _, _, err := ReadTail(dir, "web--incoming", 0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old name: %v", err)
	}
	who.Dom++
	mustTail(t, dir, "web", who, false)
	if err := tl.Rename(dir, "www"); err == nil {
		t.Error("renamed the file of another domain")
	}
	if _, got, err := ReadTail(dir, "web", 1); err != nil || string(got) != "of the one that came" {
		t.Errorf("1 back: %q, %v", got, err)
	}
}
