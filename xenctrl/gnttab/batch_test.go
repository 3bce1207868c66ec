package gnttab

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"unsafe"

	"goxl/xenctrl/abi"
)

// TestBatchBytes compares with struct gntdev_grant_copy_segment: source and
// destination as a union of an address and (reference, offset, domain), length,
// flags, status, padding.
func TestBatchBytes(t *testing.T) {
	local := make([]byte, 64)
	b := NewBatchFunc(nil)
	b.Ops = append(b.Ops,
		Op{Grant: Grant{Dom: 0x0102, Ref: 0x11223344}, Offset: 0x0506, Local: local[:0x20]},
		Op{Grant: Grant{Dom: 7, Ref: 9}, Offset: 0x200, Local: local, ToGrant: true})
	in, out := &b.Ops[0], &b.Ops[1]
	got := hex.EncodeToString(b.encode([]*Op{in, out}))
	var addr [8]byte
	for i := range addr {
		addr[i] = byte(uintptr(unsafe.Pointer(&local[0])) >> (8 * i))
	}
	a := hex.EncodeToString(addr[:])
	want := "4433221106050201" + a + "2000" + "0100" + "ff7fffff" +
		a + "0900000000020700" + "4000" + "0200" + "ff7fffff"
	if got != want {
		t.Errorf("encoded\n%s, want\n%s", got, want)
	}
	if err := b.decode([]*Op{in, out}); !errors.Is(err, errStatusMissing) {
		t.Errorf("decode() of an untouched list = %v", err)
	}
	for n, s := range []int16{0, -3} {
		b.list[n*copySegmentSize+20], b.list[n*copySegmentSize+21] = byte(s), byte(s>>8)
	}
	if err := b.decode([]*Op{in, out}); err != nil || in.Status != 0 || out.Status != -3 {
		t.Errorf("decode() = %v, %v, %v", err, in.Status, out.Status)
	}
}

func TestBatchRetriesBusyPages(t *testing.T) {
	var sizes []int
	b := NewBatchFunc(func(ops []*Op) error {
		sizes = append(sizes, len(ops))
		for i, o := range ops {
			o.Status = abi.GrantOK
			if i > 0 {
				o.Status = abi.GrantTryAgain
			}
		}
		return nil
	})
	for range 3 {
		b.Ops = append(b.Ops, Op{Local: make([]byte, 8)})
	}
	if err := b.Run(); err != nil {
		t.Fatal(err)
	}
	if len(sizes) != 3 || sizes[0] != 3 || sizes[1] != 2 || sizes[2] != 1 {
		t.Errorf("tries of %v copies, want 3, 2, 1", sizes)
	}
	b.Reset()
	b.Ops = append(b.Ops, Op{Offset: 4090, Local: make([]byte, 8)})
	if err := b.Run(); err == nil || !strings.Contains(err.Error(), "do not lie in one page") {
		t.Errorf("Run() across the page = %v", err)
	}
}

func TestBatchGivesUpOnABusyPage(t *testing.T) {
	tries := 0
	b := NewBatchFunc(func(ops []*Op) error { tries++; ops[0].Status = abi.GrantTryAgain; return nil })
	b.Ops = append(b.Ops, Op{Local: make([]byte, 8)})
	if err := b.Run(); err != nil || b.Ops[0].Status != abi.GrantTryAgain || tries != busyTries+1 {
		t.Errorf("Run() = %v, %v after %d tries", err, b.Ops[0].Status, tries)
	}
}
