package migrate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/migrate/stream"
	"goxl/xenctrl/abi"
)

// busy returns a Progress that has the guest write while it is sent: in each round
// pages that were sent in it already and pages that were not yet.
func (w *world) busy(id abi.DomID, rounds *int) func(Progress) {
	frame := func(p uint64) uint64 { return p }
	var v *pvView
	if d, _ := w.xen.Domain(id); !d.HVM {
		v = w.view(id)
		frame = func(p uint64) uint64 { return v.p2m[p] }
	}
	done := -1
	return func(p Progress) {
		if d, _ := w.xen.Domain(id); d.Shutdown || p.Round == done {
			return
		}
		done = p.Round
		*rounds = p.Round + 1
		for i := uint64(0); i < 300>>p.Round; i++ {
			at := 1510 + i*7%180 + i%2*240 // below and above what was sent when the first record is full
			if !w.xen.WriteGuest(id, frame(at)<<abi.PageShift, fill(at, byte(p.Round+1))) {
				w.Errorf("page %#x cannot be written in round %d", at, p.Round)
			}
		}
		if v != nil {
			w.churnPV(v, p.Round)
		} else {
			w.churnPVH(id, p.Round)
		}
	}
}

// churnPV has a PV guest change what its pages are.
func (w *world) churnPV(v *pvView, round int) {
	w.Helper()
	xen := w.xenc()
	switch round {
	case 1: // a page that was sent goes; a table becomes a page, and another page a table
		w.xen.WriteGuest(v.id, v.p2m[pvRelaxed+5]<<abi.PageShift, []byte("last words"))
		v.unmap(pvRelaxed + 5)
		w.must(xen.UnpinTable(v.id, abi.MFN(v.p2m[pvPinned])))
		w.xen.WriteGuest(v.id, v.p2m[pvPinned]<<abi.PageShift, fill(pvPinned, 1))
		w.xen.WriteGuest(v.id, v.p2m[pvRelaxed+2]<<abi.PageShift, table(map[int]uint64{1: v.p2m[pvRelaxed+3]<<12 | 1}))
		w.must(xen.PinTable(v.id, 1, abi.MFN(v.p2m[pvRelaxed+2])))
	case 2: // a table that was sent as one goes altogether
		w.must(xen.UnpinTable(v.id, abi.MFN(v.p2m[pvRelaxed+2])))
		v.unmap(pvRelaxed + 2)
		// And a page comes. Xen may not count that as a write.
		out := []abi.MFN{0}
		_, err := xen.Populate(w.Context(), v.id, []abi.PFN{pvHole}, 0, 0, out)
		w.must(err)
		v.p2m[pvHole] = uint64(out[0])
		leaf := v.address(v.list + pvHole*8&^(abi.PageSize-1))
		w.xen.WriteGuest(v.id, leaf<<abi.PageShift+pvHole*8%abi.PageSize, le.AppendUint64(nil, uint64(out[0])))
	}
}

// churnPVH has a PVH guest balloon out and in, none of which Xen counts as a write.
func (w *world) churnPVH(id abi.DomID, round int) {
	w.Helper()
	switch round {
	case 1:
		w.xen.WriteGuest(id, 1601<<abi.PageShift, fill(1601, 7))
		w.balloon(id, 1601)
	case 2:
		_, err := w.xenc().Populate(w.Context(), id, []abi.PFN{1500}, 0, 0, nil)
		w.must(err)
	}
}

func TestLive(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.boot(s.kind, s.boot)
			var saved bytes.Buffer
			rounds := 0
			w.must(Save(t.Context(), w.m, id, &saved, SaveOptions{Live: &Live{FewPages: 1}, Progress: w.busy(id, &rounds)}))
			if rounds != 5 {
				t.Errorf("the guest wrote in %d rounds, want 5", rounds)
			}
			if d, _ := w.xen.Domain(id); !d.Shutdown || d.LogDirty || w.xen.Mappings(id) > 0 {
				t.Errorf("after Save: suspended %t, log-dirty %t, %d mappings", d.Shutdown, d.LogDirty, w.xen.Mappings(id))
			}
			want := w.dump(id, false)
			other := newWorld(t)
			got := other.restore(saved.Bytes(), domains.CreateOptions{})
			other.runs(got)
			other.same(want, other.dump(got, true))
		})
	}
}

// Log-dirty that somebody left on is taken over, and ended.
func TestLiveLeftOn(t *testing.T) {
	w := newWorld(t)
	id := w.boot(config.TypePVH, bootOptions{})
	w.must(w.xenc().EnableLogDirty(id))
	w.must(Save(t.Context(), w.m, id, new(bytes.Buffer), SaveOptions{Live: new(Live)}))
	if d, _ := w.xen.Domain(id); d.LogDirty {
		t.Error("log-dirty is on")
	}
}

// limited is a writer that fails at the nth write.
type limited struct {
	left  int
	short bool // half of that write is done
}

var errFull = errors.New("no space left on device")

func (l *limited) Write(b []byte) (int, error) {
	if l.left--; l.left > 0 {
		return len(b), nil
	}
	if l.short {
		return len(b) / 2, errFull
	}
	return 0, errFull
}

// Whichever write fails, the guest runs on as if nothing had been.
func TestSaveWriteFails(t *testing.T) {
	for _, s := range shapes {
		for name, o := range map[string]SaveOptions{"suspended": {}, "live": {Live: &Live{MaxRounds: 2}}, "live, packed": {Live: &Live{MaxRounds: 2}, Packed: true}} {
			t.Run(s.name+", "+name, func(t *testing.T) {
				w := newWorld(t)
				id := w.boot(s.kind, s.boot)
				n, suspended := 0, 0
				for n = 1; !t.Failed(); n++ {
					stops := len(w.xen.Calls())
					err := Save(t.Context(), w.m, id, &limited{n, n%2 == 0}, o)
					if err == nil {
						break
					}
					if !errors.Is(err, errFull) || errors.Is(err, ErrNotResumed) {
						t.Errorf("write %d: %v", n, err)
					}
					for _, c := range w.xen.Calls()[stops:] {
						if c == "domctl/resumedomain" {
							suspended++
						}
					}
					w.runs(id)
				}
				if suspended == 0 || suspended >= n && o.Live != nil {
					t.Errorf("of %d failures %d came with the guest suspended", n, suspended)
				}
				t.Logf("%d writes, of which %d with the guest suspended", n-1, suspended)
			})
		}
	}
}

// Whichever hypercall fails, Save either succeeds or the guest runs on. Only if
// Xen refuses to resume it, it cannot, and the error says so.
func TestSaveHypercallFails(t *testing.T) {
	for _, s := range shapes[1:] { // the table of pages in both ways costs the same calls
		t.Run(s.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.boot(s.kind, s.boot)
			failed, total := 0, 0
			for n := 1; !t.Failed(); n++ {
				w.xen.FailAt(n, 1)
				err := Save(t.Context(), w.m, id, new(bytes.Buffer), SaveOptions{Live: &Live{MaxRounds: 2}})
				w.xen.FailAt(0, 0)
				d, _ := w.xen.Domain(id)
				switch {
				case err != nil:
					failed++
					w.runs(id)
				case !d.Shutdown || w.xen.Mappings(id) > 0:
					t.Errorf("call %d: no error, but suspended %t", n, d.Shutdown)
				default:
					w.must(w.m.Resume(t.Context(), id))
					w.must(w.xenc().DisableLogDirty(id))
				}
				if t.Failed() {
					t.Logf("call %d: %v", n, err)
				}
				if total == 0 {
					w.must(Save(t.Context(), w.m, id, new(bytes.Buffer), SaveOptions{Live: &Live{MaxRounds: 2}}))
					at := len(w.xen.Calls())
					w.must(w.m.Resume(t.Context(), id))
					w.must(Save(t.Context(), w.m, id, new(bytes.Buffer), SaveOptions{Live: &Live{MaxRounds: 2}}))
					total = len(w.xen.Calls()) - at
					w.must(w.m.Resume(t.Context(), id))
				}
				if n > 40 && n < total-40 && s.kind == config.TypePVH {
					n += 97 // thousands of calls that ask for types of pages
				}
				if n >= total {
					break
				}
			}
			t.Logf("%d calls, %d failures that matter", total, failed)
		})
	}
}

// A guest that is suspended already was so before, and stays so.
func TestSaveSuspended(t *testing.T) {
	w := newWorld(t)
	id := w.boot(config.TypePV, bootOptions{})
	w.must(w.m.Suspend(t.Context(), id))
	if err := Save(t.Context(), w.m, id, &limited{left: 20}, SaveOptions{}); !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
	if d, _ := w.xen.Domain(id); !d.Shutdown {
		t.Error("the guest runs")
	}
}

// Wherever the save is called off, the guest runs on.
func TestSaveCancelled(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.boot(s.kind, s.boot)
			for round := range 3 {
				ctx, cancel := context.WithCancel(t.Context())
				rounds := 0
				busy := w.busy(id, &rounds)
				o := SaveOptions{Live: &Live{FewPages: 1, MaxRounds: 2}, Progress: func(p Progress) {
					if d, _ := w.xen.Domain(id); !d.Shutdown && p.Round == 0 {
						busy(p)
					}
					w.xen.WriteGuest(id, w.somePage(id), []byte{byte(p.Round)})
					if p.Round == round {
						cancel()
					}
				}}
				if err := Save(ctx, w.m, id, new(bytes.Buffer), o); !errors.Is(err, context.Canceled) {
					t.Errorf("called off in round %d: %v", round, err)
				}
				cancel()
				w.runs(id)
			}
		})
	}
}

// somePage is the address of a page that a guest may write.
func (w *world) somePage(id abi.DomID) uint64 {
	if d, _ := w.xen.Domain(id); d.HVM {
		return 1800 << abi.PageShift
	}
	return w.view(id).p2m[1800] << abi.PageShift
}

// What the guest can do when it is asked to suspend, and the save is called off
// at that moment, or not.
func TestSaveGuestAsked(t *testing.T) {
	for _, tt := range []struct {
		name string
		does func(w *world, id abi.DomID, cancel func())
		want error
		runs bool
	}{
		{"called off, it never answers", func(w *world, id abi.DomID, cancel func()) { cancel() }, domains.Interrupted, true},
		{"called off when it answers", func(w *world, id abi.DomID, cancel func()) {
			w.acknowledge(id)
			cancel()
			w.stop(id, abi.ShutdownSuspend)
		}, domains.Interrupted, true},
		{"called off, and it answers before the request is taken back", func(w *world, id abi.DomID, cancel func()) {
			w.acknowledge(id)
			w.stop(id, abi.ShutdownSuspend)
			cancel()
		}, nil, true},
		{"it powers off instead", func(w *world, id abi.DomID, cancel func()) {
			w.acknowledge(id)
			w.stop(id, abi.ShutdownPoweroff)
		}, domains.GuestDied, false},
		{"it is destroyed meanwhile", func(w *world, id abi.DomID, cancel func()) {
			w.acknowledge(id)
			go w.m.Destroy(w.Context(), id)
		}, domains.GuestDied, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			id := w.boot(config.TypePVH, bootOptions{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			asked := func(id abi.DomID) { tt.does(w, id, cancel) }
			w.asked.Store(&asked)
			err := Save(ctx, w.m, id, new(bytes.Buffer), SaveOptions{Live: &Live{MaxRounds: 1}})
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if tt.runs {
				w.runs(id)
				if v, err := w.store.Read(t.Context(), "/local/domain/1/control/shutdown"); err == nil && v != "" {
					t.Errorf("the request stands: %q", v)
				}
			} else if d, ok := w.xen.Domain(id); ok && (d.LogDirty || w.xen.Mappings(id) > 0) {
				t.Errorf("log-dirty %t, %d mappings", d.LogDirty, w.xen.Mappings(id))
			}
		})
	}
}

// A page that was sent and is gone in the end is told to be gone: the receiver
// must not take it for what it was.
func TestGoneIsTold(t *testing.T) {
	w := newWorld(t)
	id := w.boot(config.TypePVH, bootOptions{})
	var saved bytes.Buffer
	rounds := 0
	w.must(Save(t.Context(), w.m, id, &saved, SaveOptions{Live: &Live{FewPages: 1}, Progress: w.busy(id, &rounds)}))
	last := toldOf(t, &saved)
	for p, want := range map[abi.PFN]stream.PageType{1500: stream.PageNormal, 1601: stream.PageNone, 1602: stream.PageNormal} {
		if got := last[p]; got == nil || *got != want {
			t.Errorf("page %d is %v in the end, want %s", p, got, want)
		}
	}
	if last[0xf0000] != nil {
		t.Error("a page that never was is told of")
	}
}

// toldOf returns what a saved guest says of its pages in the end.
func toldOf(t *testing.T, saved *bytes.Buffer) map[abi.PFN]*stream.PageType {
	in, err := Open(saved)
	if err != nil {
		t.Fatal(err)
	}
	last := map[abi.PFN]*stream.PageType{}
	for {
		rec, err := in.r.Next()
		if err == io.EOF {
			return last
		}
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := rec.Body.(*stream.PageData); ok {
			for i, p := range d.PFNs {
				kind := d.Types[i]
				last[p] = &kind
			}
		}
	}
}
