package migrate

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
)

// cap reads a guest's.
func (w *world) cap(id abi.DomID) int {
	w.Helper()
	p, err := w.m.SchedParams(w.Context(), id)
	w.must(err)
	return p.Cap.Value()
}

// unslowed fails the test unless the guest has the cap, and nothing is noted.
func (w *world) unslowed(id abi.DomID, want int) {
	w.Helper()
	if got := w.cap(id); got != want {
		w.Errorf("the guest has a cap of %d, want %d", got, want)
	}
	if files, _ := filepath.Glob(filepath.Join(w.m.Paths().Own, "throttled", "*")); len(files) > 0 {
		w.Errorf("%v are left", files)
	}
}

// wild is a Progress that has a guest write all the pages that are sent, and looks at
// its cap.
func (w *world) wild(id abi.DomID, caps *[]int) func(Progress) {
	return func(p Progress) {
		if d, _ := w.xen.Domain(id); d.Shutdown || len(*caps) > p.Round {
			return
		}
		*caps = append(*caps, w.cap(id))
		for i := uint64(1510); i < 1800; i++ {
			w.xen.WriteGuest(id, i<<abi.PageShift, fill(i, byte(p.Round)))
		}
	}
}

// A guest that writes too fast is slowed down step by step, and has its own cap back
// afterwards.
func TestAutoConverge(t *testing.T) {
	for was, want := range map[int][]int{0: {0, 0, 140, 98, 68, 46, 32}, 50: {50, 50, 35, 24, 17, 11, 8}} {
		w := newWorld(t)
		id := w.boot(config.TypePVH, bootOptions{})
		w.must(w.xenc().SetSchedParams(id, abi.SchedCredit2, abi.SchedParams{Weight: 300, Cap: uint16(was)}))
		var caps []int
		var said []string
		o := SaveOptions{Live: &Live{AutoConverge: true}, Progress: w.wild(id, &caps), Timeline: new(Timeline), Notice: func(s string) { said = append(said, s) }}
		w.must(Save(t.Context(), w.m, id, io.Discard, o))
		for i := range want {
			if len(caps) <= i || caps[i] != want[i] {
				t.Errorf("caps %v, want %v …", caps, want)
				break
			}
		}
		if o.Timeline.Slowest != leastKept || len(said) != 7 || !strings.Contains(said[0], "70 %") {
			t.Errorf("slowest %d, said %q", o.Timeline.Slowest, said)
		}
		w.unslowed(id, was)
		if p, _ := w.m.SchedParams(t.Context(), id); p.Weight.Value() != 300 {
			t.Errorf("weight %d", p.Weight.Value())
		}
	}
}

// However it ends, the guest has its processor time back.
func TestAutoConvergeFails(t *testing.T) {
	for name, fails := range map[string]func(w *world, id abi.DomID, o *SaveOptions) (context.Context, io.Writer){
		"called off": func(w *world, id abi.DomID, o *SaveOptions) (context.Context, io.Writer) {
			ctx, cancel := context.WithCancel(w.Context())
			o.Notice = func(s string) {
				if strings.Contains(s, "49 %") {
					cancel()
				}
			}
			return ctx, io.Discard
		},
		"the connection is lost": func(w *world, id abi.DomID, o *SaveOptions) (context.Context, io.Writer) {
			l := &limited{left: 1 << 30}
			o.Notice = func(s string) { l.left = 2 }
			return w.Context(), l
		},
		"it powers off when it should suspend": func(w *world, id abi.DomID, o *SaveOptions) (context.Context, io.Writer) {
			asked := func(id abi.DomID) {
				w.acknowledge(id)
				w.stop(id, abi.ShutdownPoweroff)
			}
			w.asked.Store(&asked)
			return w.Context(), io.Discard
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			id := w.boot(config.TypePVH, bootOptions{})
			var caps []int
			o := SaveOptions{Live: &Live{AutoConverge: true}, Progress: w.wild(id, &caps)}
			ctx, to := fails(w, id, &o)
			if err := Save(ctx, w.m, id, to, o); err == nil {
				t.Error("no error")
			}
			w.unslowed(id, 0)
		})
	}
}

// Two processes do not slow one guest down.
func TestAutoConvergeCannot(t *testing.T) {
	w := newWorld(t)
	id := w.boot(config.TypePVH, bootOptions{})
	other, err := w.m.Throttle(t.Context(), id)
	w.must(err)
	var caps []int
	o := SaveOptions{Live: &Live{AutoConverge: true}, Progress: w.wild(id, &caps)}
	if err := Save(t.Context(), w.m, id, new(bytes.Buffer), o); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Error(err)
	}
	w.runs(id)
	w.must(other.End())
	w.unslowed(id, 0)
}

// What a process that was killed has left is put right by the next, once, and only for
// the guest that it was.
func TestThrottleKilled(t *testing.T) {
	w := newWorld(t)
	id := w.boot(config.TypePVH, bootOptions{})
	file := filepath.Join(w.m.Paths().Own, "throttled", "1")
	killed := func() string {
		slow, err := w.m.Throttle(t.Context(), id)
		w.must(err)
		w.must(slow.Keep(10))
		b, err := os.ReadFile(file)
		w.must(err)
		if got := w.cap(id); got != 20 {
			t.Fatalf("cap %d", got)
		}
		var told []abi.DomID
		w.must(w.m.EndThrottles(t.Context(), func(id abi.DomID) { told = append(told, id) }))
		if len(told) > 0 || w.cap(id) != 20 {
			t.Error("it is put right while the process lives")
		}
		w.must(slow.End())
		w.must(w.xenc().SetSchedParams(id, abi.SchedCredit2, abi.SchedParams{Weight: 256, Cap: 20}))
		return string(b)
	}
	text := killed()
	for _, tt := range []struct {
		name, text string
		cap, told  int
	}{
		{"as it was", text, 0, 1},
		{"half written", text[:len(text)/2], 20, 0},
		{"another guest", strings.Replace(text, text[10:14], "ffff", 1), 20, 0},
	} {
		w.must(w.xenc().SetSchedParams(id, abi.SchedCredit2, abi.SchedParams{Weight: 256, Cap: 20}))
		w.must(os.WriteFile(file, []byte(tt.text), 0o600))
		told := 0
		for range 2 {
			w.must(w.m.EndThrottles(t.Context(), func(abi.DomID) { told++ }))
		}
		if told != tt.told {
			t.Errorf("%s: told %d times, want %d", tt.name, told, tt.told)
		}
		w.unslowed(id, tt.cap)
	}
	w.must(os.WriteFile(file, []byte(text), 0o600))
	slow, err := w.m.Throttle(t.Context(), id)
	w.must(err)
	if w.cap(id) != 0 {
		t.Errorf("cap %d: the next one begins with what was left", w.cap(id))
	}
	w.must(slow.End())
}
