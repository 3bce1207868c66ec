package stream

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"goxl/xenctrl/abi"
)

// TestAnyStream makes sound streams of any content, reads them and writes them
// again: values and bytes come back.
func TestAnyStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Strict: true, Checkpoints: rapid.SampledFrom([]Checkpoints{NoCheckpoints, Remus, COLO}).Draw(t, "checkpoints")}
		// Bodies are read once, so there are two makers of the same ones.
		bodies := anyStream(t, o.Checkpoints)
		var first, second bytes.Buffer
		w := NewWriter(&first, o)
		for _, b := range bodies() {
			if err := w.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		if err := recode(&second, bytes.NewReader(first.Bytes()), o); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatal("other bytes")
		}
		r := NewReader(bytes.NewReader(first.Bytes()), o)
		for i, want := range bodies() {
			rec, err := r.Next()
			if err != nil {
				t.Fatal(i, err)
			}
			if d := cmp.Diff(plain(t, want), plain(t, rec.Body), cmpopts.EquateEmpty()); d != "" {
				t.Fatalf("%d: (-wrote +read)\n%s", i, d)
			}
		}
	})
}

// maker makes a body; each call gives a new one that says the same.
type maker func() Body

func same(b Body) maker { return func() Body { return b } }

func anyStream(t *rapid.T, c Checkpoints) func() []Body {
	guest := rapid.SampledFrom([]GuestType{GuestPV, GuestHVM}).Draw(t, "guest")
	version := rapid.Uint32Range(2, 3).Draw(t, "version")
	all := []maker{same(anyXLHeader(t)), same(&LibxlHeader{rapid.Bool().Draw(t, "converted")}), same(Mark(TypeLibxcContext)),
		same(&LibxcHeader{version, guest, rapid.Uint32().Draw(t, "major"), rapid.Uint32().Draw(t, "minor")})}
	width := uint8(0)
	if guest == GuestPV {
		info := rapid.SampledFrom([]PVInfo{{4, 3}, {8, 4}}).Draw(t, "info")
		width = info.Width
		all = append(all, same(&info))
	}
	if version == 3 {
		all = append(all, same(anyLeaves(t)), same(anyMSRs(t)), same(Mark(TypeStaticDataEnd)))
	}
	all = append(all, anyRound(t, guest, width)...)
	if c != NoCheckpoints {
		for range rapid.IntRange(0, 3).Draw(t, "rounds") {
			all = append(all, same(Mark(TypeCheckpoint)))
			all = append(all, anyEmulator(t, guest)...)
			all = append(all, same(Mark(TypeCheckpointEnd)))
			if c == COLO {
				all = append(all, same(CheckpointNew))
			}
			all = append(all, anyRound(t, guest, width)...)
		}
	}
	all = append(all, same(Mark(TypeEnd)))
	all = append(all, anyEmulator(t, guest)...)
	all = append(all, same(Mark(TypeLibxlEnd)))
	return func() []Body {
		bodies := make([]Body, len(all))
		for i, m := range all {
			bodies[i] = m()
		}
		return bodies
	}
}

func anyBytes(t *rapid.T, name string, low, high int) []byte {
	return rapid.SliceOfN(rapid.Byte(), low, high).Draw(t, name)
}

func anyXLHeader(t *rapid.T) *XLHeader {
	return &XLHeader{Config: anyBytes(t, "config", 0, 40), OptionalFlags: rapid.Uint32().Draw(t, "flags"), Extra: anyBytes(t, "extra", 0, 9)}
}

func anyLeaves(t *rapid.T) CPUIDPolicy {
	word := rapid.Uint32()
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) abi.CPUIDLeaf {
		return abi.CPUIDLeaf{Leaf: word.Draw(t, "leaf"), Subleaf: word.Draw(t, "subleaf"),
			A: word.Draw(t, "a"), B: word.Draw(t, "b"), C: word.Draw(t, "c"), D: word.Draw(t, "d")}
	}), 1, 5).Draw(t, "leaves")
}

func anyMSRs(t *rapid.T) MSRPolicy {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) abi.PolicyMSR {
		return abi.PolicyMSR{Index: rapid.Uint32().Draw(t, "index"), Value: rapid.Uint64().Draw(t, "value")}
	}), 1, 3).Draw(t, "MSRs")
}

// anyRound is a guest's memory and state, all of it.
func anyRound(t *rapid.T, guest GuestType, width uint8) []maker {
	last := abi.PFN(pfnMask)
	var all []maker
	if guest == GuestPV {
		start := rapid.Uint32Range(0, 1<<16).Draw(t, "start")
		end := start + rapid.Uint32Range(0, 1<<13).Draw(t, "count")
		n := P2MFrameCount(start, end, width)
		frames := rapid.SliceOfN(rapid.Map(rapid.Uint64(), func(v uint64) abi.PFN { return abi.PFN(v) }), n, n).Draw(t, "frames")
		all = append(all, func() Body { return &P2MFrames{start, end, PFNs(frames)} })
		last = abi.PFN(end)
	}
	for range rapid.IntRange(0, 3).Draw(t, "records") {
		all = append(all, same(anyPages(t, last)))
	}
	all = append(all, same(&TSCInfo{rapid.Uint32().Draw(t, "mode"), rapid.Uint32().Draw(t, "khz"), rapid.Uint64().Draw(t, "nsec"), rapid.Uint32().Draw(t, "incarnation")}))
	if rapid.Bool().Draw(t, "optional") {
		number := Type(rapid.Uint32Min(optional).Draw(t, "number"))
		text := rapid.StringN(0, 20, 40).Draw(t, "text")
		all = append(all, func() Body { return &Optional{libxc | number, uint32(len(text)), strings.NewReader(text)} })
	}
	if guest == GuestHVM {
		params := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) HVMParam {
			return HVMParam{rapid.Uint64().Draw(t, "index"), rapid.Uint64().Draw(t, "value")}
		}), 0, 4).Draw(t, "params")
		return append(all, same(HVMContext(anyBytes(t, "context", 1, 50))), same(HVMParams(params)))
	}
	size := map[uint8]int{4: abi.VCPUContextSize32, 8: abi.VCPUContextSize}[width]
	id := rapid.Uint32Range(0, MaxVCPUs-1).Draw(t, "vcpu")
	return append(all, same((*SharedInfo)(page(rapid.Byte().Draw(t, "fill")))),
		same(&VCPU{TypeVCPUBasic, id, bytes.Repeat(anyBytes(t, "word", 4, 4), size/4)}),
		same(&VCPU{TypeVCPUExtended, id, anyBytes(t, "extended", 0, 128)}),
		same(&VCPU{TypeVCPUXSave, id, anyBytes(t, "xsave", 16, 100)}),
		same(&VCPU{TypeVCPUMSRs, id, bytes.Repeat(anyBytes(t, "msr", 16, 16), 3)}))
}

func anyPages(t *rapid.T, last abi.PFN) *PageData {
	d := &PageData{Types: rapid.SliceOfN(rapid.SampledFrom([]PageType{PageNormal, PageL1, PageL2, PageL3, PageL4,
		PagePinL1, PagePinL2, PagePinL3, PagePinL4, PageBroken, PageAlloc, PageNone}), 1, 5).Draw(t, "types")}
	for _, typ := range d.Types {
		d.PFNs = append(d.PFNs, abi.PFN(rapid.Uint64Range(0, uint64(last)).Draw(t, "pfn")))
		if typ.HasData() {
			d.Data = append(d.Data, page(rapid.Byte().Draw(t, "fill"))...)
		}
	}
	return d
}

func anyEmulator(t *rapid.T, guest GuestType) []maker {
	if guest == GuestPV {
		return nil
	}
	key := rapid.StringMatching(`[a-zA-Z0-9_-]{1,8}(/[a-zA-Z0-9_@-]{1,8}){0,2}`)
	nodes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) KeyValue {
		return KeyValue{key.Draw(t, "key"), rapid.StringMatching(`[ -~]{0,12}`).Draw(t, "value")}
	}), 0, 3).Draw(t, "nodes")
	id := EmulatorID(rapid.Uint32Range(0, 2).Draw(t, "emulator"))
	state := rapid.StringN(0, 30, 60).Draw(t, "state")
	return []maker{
		same(&EmulatorStore{id, rapid.Uint32().Draw(t, "index"), slices.Clone(nodes)}),
		func() Body { return &EmulatorContext{id, 0, uint32(len(state)), strings.NewReader(state)} },
	}
}
