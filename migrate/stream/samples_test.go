package stream

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"goxl/xenctrl/abi"
)

// sample is a small stream as a list of bodies. Bodies that are read once are made
// anew by each call.
type sample struct {
	name   string
	opts   Options
	bodies func() []Body
}

func config(kind string) *XLHeader {
	return &XLHeader{Config: []byte(`{"c_info": {"type": "` + kind + `", "name": "web"}, "b_info": {}}` + "\x00")}
}

func page(fill byte) []byte { return bytes.Repeat([]byte{fill}, abi.PageSize) }

// hvmContext is a chain of two pieces and its END.
func hvmContext() HVMContext {
	b := []byte{1, 0, 0, 0, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}
	b = append(b, 2, 0, 1, 0, 4, 0, 0, 0, 9, 9, 9, 9)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
}

func policies() []Body {
	return []Body{
		CPUIDPolicy{{Leaf: 0, Subleaf: abi.NoSubleaf, A: 13, B: 1, C: 2, D: 3}, {Leaf: 1, Subleaf: abi.NoSubleaf, A: 4}},
		MSRPolicy{{Index: 0xce, Value: 1 << 31}},
	}
}

// pvMemory is a PV guest's memory and state: page tables, and pages without data.
func pvMemory() []Body {
	return []Body{
		&P2MFrames{Start: 0, End: 0x3ff, Frames: PFNs([]abi.PFN{0x10, 0x11})},
		&PageData{
			PFNs:  []abi.PFN{0, 1, 2, 0x3ff},
			Types: []PageType{PageNormal, PagePinL4, PageNone, PageL1},
			Data:  append(append(page(1), page(2)...), page(3)...),
		},
		&TSCInfo{Mode: 1, KHz: 2_400_000, Nsec: 1 << 40, Incarnation: 3},
		(*SharedInfo)(page(7)),
		&VCPU{TypeVCPUBasic, 0, bytes.Repeat([]byte{5}, abi.VCPUContextSize)},
		&VCPU{TypeVCPUExtended, 0, bytes.Repeat([]byte{6}, 64)},
		&VCPU{TypeVCPUXSave, 0, bytes.Repeat([]byte{8}, 577)},
		&VCPU{TypeVCPUMSRs, 0, bytes.Repeat([]byte{0, 1, 2, 3}, 8)},
	}
}

func hvmMemory() []Body {
	return []Body{
		&PageData{PFNs: []abi.PFN{0, 0xfeffc}, Types: []PageType{PageNormal, PageAlloc}, Data: page(4)},
		&PageData{PFNs: []abi.PFN{5}, Types: []PageType{PageNone}},
		Mark(TypeVerify),
		&PageData{PFNs: []abi.PFN{0}, Types: []PageType{PageNormal}, Data: page(4)},
		&TSCInfo{KHz: 1},
		hvmContext(),
		HVMParams{{abi.ParamStorePFN, 0xfeffc}, {abi.ParamConsolePFN, 0xfeffd}},
	}
}

func emulator() []Body {
	return []Body{
		&EmulatorStore{ID: EmulatorQEMU, Nodes: []KeyValue{
			{"physmap/1/start_addr", "f0000000"}, {"physmap/1/name", ""},
		}},
		&EmulatorContext{ID: EmulatorQEMU, Size: 21, Data: strings.NewReader("QEVMthe state of QEMU")},
	}
}

// checkpoint is what stands between two rounds of a guest's memory.
func checkpoint() []Body {
	return join([]Body{Mark(TypeCheckpoint)}, emulator(), []Body{Mark(TypeCheckpointEnd)})
}

func xlHead(kind string) []Body {
	return []Body{config(kind), &LibxlHeader{}, Mark(TypeLibxcContext)}
}

func join(parts ...[]Body) (all []Body) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func samples() []sample {
	pv3, hvm3 := &LibxcHeader{3, GuestPV, 4, 17}, &LibxcHeader{3, GuestHVM, 4, 17}
	pv := []Body{pv3, &PVInfo{8, 4}}
	end := []Body{Mark(TypeStaticDataEnd)}
	done := []Body{Mark(TypeEnd), Mark(TypeLibxlEnd)}
	return []sample{
		{"PV", Options{}, func() []Body { return join(xlHead("pv"), pv, policies(), end, pvMemory(), done) }},
		{"PVH", Options{}, func() []Body { return join(xlHead("pvh"), []Body{hvm3}, policies(), end, hvmMemory(), done) }},
		{"HVM", Options{}, func() []Body {
			return join(xlHead("hvm"), []Body{hvm3}, policies(), end, hvmMemory(), []Body{Mark(TypeEnd)}, emulator(), []Body{Mark(TypeLibxlEnd)})
		}},
		{"disks", Options{Outermost: LayerLibxl}, func() []Body {
			d := diskBodies()
			return join([]Body{&LibxlHeader{}}, d[:4], []Body{Mark(TypeLibxcContext), hvm3}, end, d[2:4], hvmMemory()[4:],
				[]Body{Mark(TypeEnd)}, d[4:], []Body{Mark(TypeLibxlEnd)})
		}},
		{"PV 32-bit version 2", Options{Outermost: LayerLibxc}, func() []Body {
			return []Body{&LibxcHeader{2, GuestPV, 0, 1}, &PVInfo{4, 3},
				&P2MFrames{Start: 0x400, End: 0x800, Frames: PFNs([]abi.PFN{1, 2})},
				Toolstack("left by a converter"),
				&PageData{PFNs: []abi.PFN{0x800}, Types: []PageType{PageBroken}},
				(*SharedInfo)(page(0)), &VCPU{TypeVCPUBasic, 0, make([]byte, abi.VCPUContextSize32)},
				&VCPU{TypeVCPUXSave, 0, nil}, Mark(TypeEnd)}
		}},
		{"HVM version 2", Options{Outermost: LayerLibxc}, func() []Body {
			return join([]Body{&LibxcHeader{2, GuestHVM, 4, 8}}, hvmMemory(), []Body{HVMParams{}, Mark(TypeEnd)})
		}},
		{"optional", Options{Outermost: LayerLibxl}, func() []Body {
			return join([]Body{&LibxlHeader{Converted: true}, &Optional{libxl | optional, 3, strings.NewReader("abc")}, Mark(TypeLibxcContext), hvm3},
				end, hvmMemory(), []Body{&Optional{libxc | optional | 7, 9, strings.NewReader("something")}, &Optional{Kind: libxc | optional}}, done)
		}},
		{"Remus", Options{Outermost: LayerLibxl, Checkpoints: Remus}, func() []Body {
			return join([]Body{&LibxlHeader{}, Mark(TypeLibxcContext), hvm3}, end, hvmMemory(), checkpoint(), hvmMemory()[:1], checkpoint(),
				hvmMemory()[5:], done)
		}},
		{"COLO", Options{Outermost: LayerLibxl, Checkpoints: COLO}, func() []Body {
			next := []Body{CheckpointNew}
			return join([]Body{&LibxlHeader{}, Mark(TypeLibxcContext), hvm3}, end, hvmMemory(), checkpoint(), next,
				hvmMemory()[:1], checkpoint(), next, done)
		}},
		{"COLO back", Options{BackChannel: true}, func() []Body {
			return []Body{CheckpointReady, CheckpointResumed, CheckpointSuspended, &DirtyPFNs{PFNs([]abi.PFN{9, 3, 1 << 40})}}
		}},
	}
}

// encode writes bodies to a stream.
func encode(t testing.TB, o Options, bodies []Body) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewWriter(&b, o)
	for _, body := range bodies {
		if err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	if w.Offset() != int64(b.Len()) {
		t.Fatalf("Offset is %d after %d bytes", w.Offset(), b.Len())
	}
	return b.Bytes()
}

// encode writes the sample.
func (s sample) encode(t testing.TB) []byte { return encode(t, s.opts, s.bodies()) }

// recode reads all of src and writes it to dst.
func recode(dst io.Writer, src io.Reader, o Options) error {
	r, w := NewReader(src, o), NewWriter(dst, o)
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := w.Write(rec.Body); err != nil {
			return err
		}
	}
}
