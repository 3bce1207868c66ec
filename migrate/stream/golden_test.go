package stream

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"goxl/xenctrl/abi"
)

// golden are bytes as the two specifications draw them (libxc- and
// libxl-migration-stream.pandoc; xl.h for the first), by hand: records with their
// headers, and what they mean.
var golden = []struct {
	name  string
	body  Body
	bytes string
}{
	{"xl header", &XLHeader{Config: []byte("{}\x00")},
		hex.EncodeToString([]byte("Xen saved domain, xl format\n \x00 \r")) +
			"04030201 03000000 00000000 07000000  03000000 7b7d00"},
	{"xl header without configuration", &XLHeader{OptionalFlags: 4, Extra: []byte{9}},
		hex.EncodeToString([]byte("Xen saved domain, xl format\n \x00 \r")) +
			"04030201 02000000 04000000 05000000  00000000 09"},
	{"libxl header", &LibxlHeader{}, "4c6962786c466d74 00000002 00000000"},
	{"converted libxl header", &LibxlHeader{Converted: true}, "4c6962786c466d74 00000002 00000002"},
	{"PV header", &LibxcHeader{3, GuestPV, 4, 17},
		"ffffffffffffffff 58454e46 00000003 0000 0000 00000000  01000000 0c00 0000 04000000 11000000"},
	{"HVM header", &LibxcHeader{2, GuestHVM, 4, 13},
		"ffffffffffffffff 58454e46 00000002 0000 0000 00000000  02000000 0c00 0000 04000000 0d000000"},

	{"libxl END", Mark(TypeLibxlEnd), "00000000 00000000"},
	{"LIBXC_CONTEXT", Mark(TypeLibxcContext), "01000000 00000000"},
	{"EMULATOR_XENSTORE_DATA", &EmulatorStore{ID: EmulatorQEMU, Nodes: []KeyValue{{"a/b", "c"}, {"d", ""}}},
		"02000000 11000000  02000000 00000000 612f62006300 640000 00000000000000"},
	{"EMULATOR_CONTEXT", &EmulatorContext{EmulatorQEMUTraditional, 3, 2, strings.NewReader("QE")},
		"03000000 0a000000  01000000 03000000 5145 000000000000"},
	{"CHECKPOINT_END", Mark(TypeCheckpointEnd), "04000000 00000000"},
	{"CHECKPOINT_STATE", CheckpointReady, "05000000 04000000  02000000 00000000"},

	{"END", Mark(TypeEnd), "00000000 00000000"},
	{"PAGE_DATA", &PageData{
		PFNs:  []abi.PFN{0x12345, 1<<52 - 1, 7},
		Types: []PageType{PageNone, PageBroken, PageAlloc},
	}, "01000000 20000000  03000000 00000000 45230100000000f0 ffffffffffff0fd0 07000000000000e0"},
	{"X86_PV_INFO", &PVInfo{8, 4}, "02000000 08000000  0804 000000000000"},
	{"X86_PV_P2M_FRAMES", &P2MFrames{0, 0x200, PFNs([]abi.PFN{0x1122334455, 2})},
		"03000000 18000000  00000000 00020000 5544332211000000 0200000000000000"},
	{"X86_PV_VCPU_EXTENDED", &VCPU{TypeVCPUExtended, 1, []byte{1, 2, 3}}, "05000000 0b000000  01000000 00000000 010203 0000000000"},
	{"X86_PV_VCPU_XSAVE", &VCPU{TypeVCPUXSave, 2, nil}, "06000000 08000000  02000000 00000000"},
	{"X86_PV_VCPU_MSRS", &VCPU{TypeVCPUMSRs, 3, []byte("0123456789abcdef")},
		"0c000000 18000000  03000000 00000000 30313233343536373839616263646566"},
	{"X86_TSC_INFO", &TSCInfo{1, 0x02030405, 0x060708090a0b0c0d, 0x0e0f1011},
		"08000000 18000000  01000000 05040302 0d0c0b0a09080706 11100f0e 00000000"},
	{"HVM_CONTEXT", HVMContext{0, 0, 0, 0, 0, 0, 0, 0}, "09000000 08000000  0000000000000000"},
	{"HVM_PARAMS", HVMParams{{1, 0xfeffc}, {17, 2}},
		"0a000000 28000000  02000000 00000000 0100000000000000 fcef0f0000000000 1100000000000000 0200000000000000"},
	{"TOOLSTACK", Toolstack("ab"), "0b000000 02000000  6162 000000000000"},
	{"VERIFY", Mark(TypeVerify), "0d000000 00000000"},
	{"CHECKPOINT", Mark(TypeCheckpoint), "0e000000 00000000"},
	{"CHECKPOINT_DIRTY_PFN_LIST", &DirtyPFNs{PFNs([]abi.PFN{5, 1 << 33})}, "0f000000 10000000  0500000000000000 0000000002000000"},
	{"STATIC_DATA_END", Mark(TypeStaticDataEnd), "10000000 00000000"},
	{"X86_CPUID_POLICY", CPUIDPolicy{{Leaf: 1, Subleaf: abi.NoSubleaf, A: 2, B: 3, C: 4, D: 5}},
		"11000000 18000000  01000000 ffffffff 02000000 03000000 04000000 05000000"},
	{"X86_MSR_POLICY", MSRPolicy{{Index: 0xce, Value: 1 << 31}}, "12000000 10000000  ce000000 00000000 0000008000000000"},
	{"optional", &Optional{libxc | 0x8000abcd, 1, strings.NewReader("x")}, "cdab0080 01000000  78 00000000000000"},
}

// ready is a state of the rules in which t may come next.
func ready(t Type, version uint32) rules {
	r := rules{checkpoints: Remus, version: version, width: 8, last: pfnMask}
	r.libxc = 1<<TypePVInfo.Number() | 1<<TypeP2MFrames.Number() | 1<<TypeHVMContext.Number()
	r.guest, r.memory = max(guestOf(t), GuestPV), true
	if r.guest == GuestPV {
		r.libxc |= 1<<TypeSharedInfo.Number() | 1<<TypeVCPUBasic.Number()
	}
	switch t {
	case TypeXLHeader, TypeLibxlHeader, TypeLibxcHeader:
		r.state = map[Type]state{TypeXLHeader: wantXLHeader, TypeLibxlHeader: wantLibxlHeader, TypeLibxcHeader: wantLibxcHeader}[t]
	case TypePVInfo, TypeCPUIDPolicy, TypeMSRPolicy, TypeStaticDataEnd:
		r.state, r.memory = inLibxc, false
		r.libxc &^= 1 << t.Number()
	case TypeCheckpointEnd, TypeEmulatorContext, TypeEmulatorStore:
		r.state = inCheckpoint
	case TypeCheckpointState, TypeDirtyPFNs:
		r.state, r.back = inBackChannel, true
	case TypeLibxcContext:
		r.state = inLibxl
	case TypeLibxlEnd:
		r.state, r.libxl = inLibxl, 1<<TypeLibxcContext.Number()
	default:
		r.state = inLibxc
	}
	if t == TypeToolstack {
		r.version = 2
	}
	return r
}

// TestGolden writes each body and reads its bytes.
func TestGolden(t *testing.T) {
	seen := map[Type]bool{}
	for _, tt := range golden {
		t.Run(tt.name, func(t *testing.T) {
			want, err := hex.DecodeString(strings.ReplaceAll(tt.bytes, " ", ""))
			if err != nil {
				t.Fatal(err)
			}
			r := &Reader{src: bytes.NewReader(want), strict: true, rules: ready(tt.body.Type(), 3)}
			rec, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			var got bytes.Buffer
			w := &Writer{dst: &got, rules: ready(tt.body.Type(), 3)}
			if err := w.Write(rec.Body); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("read and written:\n% x, want\n% x", got.Bytes(), want)
			}
			r = &Reader{src: bytes.NewReader(want), rules: ready(tt.body.Type(), 3)}
			if rec, err = r.Next(); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(plain(t, tt.body), plain(t, rec.Body), cmpopts.EquateEmpty()); d != "" {
				t.Errorf("(-want +read)\n%s", d)
			}
			if rec.Size() != int64(len(want)) {
				t.Errorf("its size is %d, want %d", rec.Size(), len(want))
			}
		})
		seen[tt.body.Type()] = true
	}
	// Two records hold a page and more; the samples have them.
	for _, t2 := range []Type{TypeSharedInfo, TypeVCPUBasic} {
		seen[t2] = true
	}
	for _, layer := range []struct {
		first Type
		names int
	}{{libxl, len(libxlNames)}, {libxc, len(libxcNames)}, {TypeXLHeader, 3}} {
		for i := range layer.names {
			if typ := layer.first + Type(i); !seen[typ] {
				t.Errorf("no golden bytes for %v", typ)
			}
		}
	}
}

// TestGoldenPages has the one record that is too long to be drawn: page content
// follows all page numbers.
func TestGoldenPages(t *testing.T) {
	d := &PageData{PFNs: []abi.PFN{1, 2, 3}, Types: []PageType{PagePinL2, PageNone, PageNormal}, Data: append(page(0xaa), page(0xbb)...)}
	var got bytes.Buffer
	w := &Writer{dst: &got, rules: ready(TypePageData, 3)}
	if err := w.Write(d); err != nil {
		t.Fatal(err)
	}
	want, _ := hex.DecodeString("01000000" + "20200000" + "03000000" + "00000000" +
		"01000000000000a0" + "02000000000000f0" + "0300000000000000")
	want = append(append(want, page(0xaa)...), page(0xbb)...)
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("% x", got.Bytes()[:48])
	}
	for i, p := range d.All {
		if fill := []byte{0xaa, 0, 0xbb}[i]; fill == 0 && p != nil || fill != 0 && !bytes.Equal(p, page(fill)) {
			t.Errorf("page %d: % x", i, p[:min(len(p), 8)])
		}
	}
}
