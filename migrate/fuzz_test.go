package migrate

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"goxl/domains/build"
	"goxl/domains/config"
	"goxl/migrate/savefile"
	"goxl/migrate/stream"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

// FuzzFill restores whatever comes, into a domain of 8 MiB: it fails or not, leaves
// nothing mapped, and the domain never has more than it may.
func FuzzFill(f *testing.F) {
	m := xentest.New(f, xentest.Config{})
	xen := m.Handle()
	for i, s := range shapes {
		f.Add(i == 2, smallStream(f, s.kind, s.boot))
	}
	f.Fuzz(func(t *testing.T, hvm bool, saved []byte) {
		in := &Incoming{r: stream.NewReader(bytes.NewReader(saved), stream.Options{Outermost: stream.LayerLibxl}), plain: new(savefile.Reader)}
		target, free := newTarget(t, xen, hvm)
		defer free()
		_, _, err := in.Fill(t.Context(), target)
		if n := m.Mappings(target.Dom); n > 0 {
			t.Errorf("%d mappings are left", n)
		}
		if d, _ := m.Domain(target.Dom); d.Pages.KiB() > d.MaxMem {
			t.Errorf("it has %d KiB of %d", d.Pages.KiB(), d.MaxMem)
		}
		var bad *stream.Error
		if err != nil && errors.As(err, &bad) && errors.Is(err, io.EOF) {
			t.Errorf("an end where there is none: %v", err)
		}
	})
}

// TestFillSeeds has the fuzz target's seeds restored to their ends.
func TestFillSeeds(t *testing.T) {
	m := xentest.New(t, xentest.Config{})
	for i, s := range shapes {
		saved := smallStream(t, s.kind, s.boot)
		in := &Incoming{r: stream.NewReader(bytes.NewReader(saved), stream.Options{Outermost: stream.LayerLibxl}), plain: new(savefile.Reader)}
		target, free := newTarget(t, m.Handle(), i == 2)
		if store, console, err := in.Fill(t.Context(), target); err != nil || store == 0 || console == 0 {
			t.Errorf("%s, %d bytes: rings %#x, %#x, %v", s.name, len(saved), store, console, err)
		}
		free()
		t.Logf("%s: %d bytes", s.name, len(saved))
	}
}

// newTarget makes an empty domain that may be filled.
func newTarget(t testing.TB, xen *xenctrl.Handle, hvm bool) (build.Target, func()) {
	args := &abi.CreateDomain{MaxVCPUs: 2, MaxEvtchnPort: 1023, MaxGrantFrames: 8, MaxMaptrackFrames: 8, GrantVersion: 2}
	target := build.Target{Xen: xen, Kind: build.PV, VCPUs: 2}
	if hvm {
		args.Flags, args.EmulationFlags, target.Kind = abi.CreateHVM|abi.CreateHAP, 1, build.PVH
	}
	id, err := xen.CreateDomain(args)
	if err != nil {
		t.Fatal(err)
	}
	target.Dom = id
	for _, err := range []error{xen.SetMaxVCPUs(id, 2), xen.SetMaxMem(id, 9<<10)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []*abi.Port{&target.StorePort, &target.ConsolePort} {
		if *p, err = xen.EvtchnAllocUnbound(id, 0); err != nil {
			t.Fatal(err)
		}
	}
	return target, func() {
		if err := xen.DestroyDomain(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
}

// smallStream is a saved guest from libxl's header on. Of pages whose content a
// restore does not look at it says that they exist: a fuzzer gets further with
// little.
func smallStream(t testing.TB, kind config.DomainType, boot bootOptions) []byte {
	w := newWorld(t)
	id := w.boot(kind, boot)
	var saved bytes.Buffer
	w.must(Save(t.Context(), w.m, id, &saved, SaveOptions{}))
	needed := w.needed(id)
	w.must(w.m.Destroy(t.Context(), id))
	r := stream.NewReader(&saved, stream.Options{Outermost: stream.LayerXL})
	var out bytes.Buffer
	to := stream.NewWriter(&out, stream.Options{Outermost: stream.LayerLibxl})
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return out.Bytes()
		}
		w.must(err)
		switch b := rec.Body.(type) {
		case *stream.XLHeader:
		case *stream.PageData:
			d := &stream.PageData{}
			for i, page := range b.All {
				p, t := b.PFNs[i], b.Types[i]
				if t == stream.PageNormal && !needed[p] {
					t, page = stream.PageAlloc, nil
				}
				d.PFNs, d.Types, d.Data = append(d.PFNs, p), append(d.Types, t), append(d.Data, page...)
			}
			w.must(to.Write(d))
		default:
			w.must(to.Write(rec.Body))
		}
	}
}

// needed are the pages that a restore looks at, besides page tables.
func (w *world) needed(id abi.DomID) map[abi.PFN]bool {
	if d, _ := w.xen.Domain(id); d.HVM {
		return nil
	}
	v := w.view(id)
	info := w.xen.ReadGuest(id, v.start<<abi.PageShift, abi.PageSize)
	out := map[abi.PFN]bool{abi.PFN(v.pfn[v.start]): true, pvGDT: true,
		abi.PFN(le.Uint64(info[startStore:])): true, abi.PFN(le.Uint64(info[startConsole:])): true}
	for at := 0; at < len(v.p2m)*8; at += abi.PageSize {
		out[abi.PFN(v.pfn[v.address(v.list+uint64(at))])] = true
	}
	return out
}
