package gnttab

import (
	"errors"
	"os"
	"testing"
)

func TestSegmentCheck(t *testing.T) {
	local := make([]byte, 100)
	for _, tt := range []struct {
		name string
		seg  Segment
		ok   bool
	}{
		{"local to grant", Segment{Src: Place{Local: local}, Dst: Place{Offset: 96}, Len: 100}, true},
		{"grant to grant", Segment{Len: 4096}, true},
		{"both local", Segment{Src: Place{Local: local}, Dst: Place{Local: local}, Len: 1}, false},
		{"too few local bytes", Segment{Src: Place{Local: local}, Len: 101}, false},
		{"across the granted page", Segment{Src: Place{Local: local}, Dst: Place{Offset: 4000}, Len: 97}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.seg.check(); (err == nil) != tt.ok {
				t.Errorf("check() = %v", err)
			}
		})
	}
}

func TestRegionCloses(t *testing.T) {
	freed := 0
	r := region{b: make([]byte, 8), free: func([]byte) error { freed++; return nil }}
	if err := r.With(func(b []byte) error { return nil }); err != nil {
		t.Error(err)
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil || freed != 1 {
		t.Errorf("closed %d times, %v", freed, err)
	}
	if err := r.With(func([]byte) error { return nil }); !errors.Is(err, os.ErrClosed) {
		t.Errorf("With after Close = %v", err)
	}
}
