package abi

import (
	"slices"
	"testing"
)

func TestBitmap(t *testing.T) {
	m := BitmapOf(0, 9, 63)
	if !slices.Equal(m.Slice(), []int{0, 9, 63}) || m.Count() != 3 || m.Len() != 64 || m.Empty() {
		t.Errorf("BitmapOf(0, 9, 63) holds %v", m.Slice())
	}
	if m.Test(-1) || m.Test(64) || m.Test(8) || !m.Test(9) {
		t.Error("Test is wrong at the edges")
	}
	m.Clear(9)
	m.Clear(1000)
	if !m.Equal(append(BitmapOf(0, 63), 0, 0)) || m.Equal(BitmapOf(0)) {
		t.Errorf("after Clear it holds %v", m.Slice())
	}
	if f := FullBitmap(10); f.Count() != 10 || f.Test(10) {
		t.Errorf("FullBitmap(10) holds %v", f.Slice())
	}
}

func TestRelease(t *testing.T) {
	for _, tt := range []struct {
		minor  int
		known  bool
		domctl uint32
	}{{14, true, 0x12}, {22, true, 0x18}, {23, false, 0x18}, {13, false, 0x12}} {
		v, known := Release(4, tt.minor)
		if known != tt.known || v.Domctl != tt.domctl || v.Minor != tt.minor {
			t.Errorf("Release(4, %d) = %+v, %v", tt.minor, v, known)
		}
	}
}
