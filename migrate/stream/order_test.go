package stream

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"goxl/xenctrl/abi"
)

// raw is a record's bytes, written past all rules.
func raw(t Type, body []byte) []byte {
	b := append32(nil, t.Number(), uint32(len(body)))
	return append(append(b, body...), zeros[:padding(uint32(len(body)))]...)
}

// TestOrder has streams that are sound but for the place of one record, and the
// error that this ends with. The bytes of each record are right.
func TestOrder(t *testing.T) {
	pv := &LibxcHeader{3, GuestPV, 4, 17}
	hvm := &LibxcHeader{3, GuestHVM, 4, 17}
	hvm2 := &LibxcHeader{2, GuestHVM, 4, 13}
	sde := Mark(TypeStaticDataEnd)
	info := &PVInfo{8, 4}
	libxcOnly, libxlOnly := Options{Outermost: LayerLibxc}, Options{Outermost: LayerLibxl}
	inner := join([]Body{&LibxlHeader{}, Mark(TypeLibxcContext), hvm, sde}, hvmMemory(), []Body{Mark(TypeEnd)})
	onePage := func() []byte {
		return append(binary.LittleEndian.AppendUint64([]byte{1, 0, 0, 0, 0, 0, 0, 0}, 0), page(1)...)
	}()
	for _, tt := range []struct {
		name   string
		o      Options
		before []Body
		last   []byte
		want   string
	}{
		{"version 3 without the end of static data", libxcOnly, []Body{hvm}, raw(TypePageData, onePage), "record 0 (PAGE_DATA) at offset 0x28: STATIC_DATA_END has to come first"},
		{"state before the end of static data", libxcOnly, []Body{hvm}, raw(TypeTSCInfo, make([]byte, 24)), "STATIC_DATA_END has to come first"},
		{"the end before the end of static data", libxcOnly, []Body{hvm}, raw(TypeEnd, nil), "STATIC_DATA_END has to come first"},
		{"static data end twice", libxcOnly, []Body{hvm, sde}, raw(TypeStaticDataEnd, nil), "record 1 (STATIC_DATA_END) at offset 0x30: there was one before"},
		{"static data end in version 2", libxcOnly, []Body{hvm2}, raw(TypeStaticDataEnd, nil), "since version 3, the stream is of version 2"},
		{"policy in version 2", libxcOnly, []Body{hvm2}, raw(TypeCPUIDPolicy, make([]byte, 24)), "since version 3"},
		{"policy after the static data", libxcOnly, []Body{hvm, sde}, raw(TypeMSRPolicy, make([]byte, 16)), "after the end of the static data"},
		{"policy twice", libxcOnly, []Body{hvm, CPUIDPolicy{{}}}, raw(TypeCPUIDPolicy, make([]byte, 24)), "there was one before"},
		{"static data end of a PV guest without its width", libxcOnly, []Body{pv}, raw(TypeStaticDataEnd, nil), "X86_PV_INFO has to come first"},
		{"PV info twice", libxcOnly, []Body{pv, info}, raw(TypePVInfo, []byte{8, 4, 0, 0, 0, 0, 0, 0}), "there was one before"},
		{"pages of a PV guest before its table", libxcOnly, []Body{pv, info, sde}, raw(TypePageData, onePage), "X86_PV_P2M_FRAMES has to come first"},
		{"pages after a vcpu", libxcOnly, join([]Body{pv, info, sde}, pvMemory()), raw(TypePageData, onePage), "after the state of a vcpu"},
		{"PV record of an HVM guest", libxcOnly, []Body{hvm, sde}, raw(TypeSharedInfo, page(0)), "a record of PV guests, but the guest is HVM"},
		{"HVM record of a PV guest", libxcOnly, []Body{pv, info, sde}, raw(TypeHVMContext, hvmContext()), "a record of HVM guests, but the guest is PV"},
		{"no hvm context", libxcOnly, []Body{hvm, sde}, raw(TypeEnd, nil), "there was no HVM_CONTEXT"},
		{"no vcpu", libxcOnly, join([]Body{pv, info, sde}, pvMemory()[:4]), raw(TypeEnd, nil), "there was no X86_PV_VCPU_BASIC"},
		{"no shared info", libxcOnly, join([]Body{pv, info, sde}, pvMemory()[:3]), raw(TypeEnd, nil), "there was no SHARED_INFO"},
		{"verify twice", libxcOnly, []Body{hvm, sde, Mark(TypeVerify)}, raw(TypeVerify, nil), "there was one before"},
		{"toolstack in version 3", libxcOnly, []Body{hvm, sde}, raw(TypeToolstack, nil), "in version 2 only"},
		{"dirty list on the way there", libxcOnly, []Body{hvm, sde}, raw(TypeDirtyPFNs, nil), "back channel"},
		{"checkpoint in a plain stream", libxcOnly, join([]Body{hvm, sde}, hvmMemory()), raw(TypeCheckpoint, nil), "should have no checkpoints"},
		{"checkpoint without a state", Options{Outermost: LayerLibxc, Checkpoints: Remus}, []Body{hvm, sde}, raw(TypeCheckpoint, nil), "there was no HVM_CONTEXT"},
		{"unknown mandatory record", libxcOnly, []Body{hvm}, raw(libxc|0x13, nil), "record 0 (libxc type 0x13) at offset 0x28: a mandatory record that is unknown"},
		{"unknown record of libxl", libxlOnly, inner, raw(libxl|6, nil), "(libxl type 0x6)"},
		{"end without a libxc stream", libxlOnly, []Body{&LibxlHeader{}}, raw(TypeLibxlEnd, nil), "LIBXC_CONTEXT has to come first"},
		{"emulator before the libxc stream", libxlOnly, []Body{&LibxlHeader{}}, raw(TypeEmulatorStore, make([]byte, 8)), "LIBXC_CONTEXT has to come first"},
		{"two libxc streams", libxlOnly, inner, raw(TypeLibxcContext, nil), "there was one before"},
		{"end of no checkpoint", libxlOnly, inner, raw(TypeCheckpointEnd, nil), "no checkpoint"},
		{"COLO's state in a plain stream", libxlOnly, inner, raw(TypeCheckpointState, make([]byte, 4)), "no checkpoint"},
		{"end in a checkpoint", Options{Outermost: LayerLibxl, Checkpoints: Remus}, join(inner[:len(inner)-1], []Body{Mark(TypeCheckpoint)}), raw(TypeLibxlEnd, nil), "before CHECKPOINT_END"},
		{"emulator of a PV guest", libxlOnly, join([]Body{&LibxlHeader{}, Mark(TypeLibxcContext), pv, info, sde}, pvMemory(), []Body{Mark(TypeEnd)}), raw(TypeEmulatorContext, make([]byte, 8)), "a PV guest has no emulator"},
		{"COLO without a new state", Options{Outermost: LayerLibxl, Checkpoints: COLO}, join(inner[:len(inner)-1], checkpoint()), raw(TypeCheckpointState, []byte{2, 0, 0, 0}), "want 0 (a new checkpoint)"},
		{"memory in a back channel", Options{BackChannel: true}, nil, raw(TypeEmulatorContext, make([]byte, 8)), "does not belong into a back channel"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i, b := range tt.before {
				if e, ok := b.(*EmulatorContext); ok { // of what several share
					tt.before[i] = &EmulatorContext{e.ID, e.Index, 3, strings.NewReader("ABC")}
				}
				if p, ok := b.(*P2MFrames); ok {
					tt.before[i] = &P2MFrames{p.Start, p.End, PFNs([]abi.PFN{1, 2})}
				}
			}
			checkRefused(t, append(encode(t, tt.o, tt.before), tt.last...), tt.o, tt.want, ErrStream)
		})
	}
}

// checkRefused reads b to its end, which must be an error of that class with that
// text.
func checkRefused(t *testing.T, b []byte, o Options, want string, class error) {
	t.Helper()
	err := recode(io.Discard, bytes.NewReader(b), o)
	if !errors.Is(err, class) || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// TestHeaders has headers that are refused, each with one field changed.
func TestHeaders(t *testing.T) {
	xl := encode(t, Options{}, []Body{config("pv")})
	libxl := encode(t, Options{Outermost: LayerLibxl}, []Body{&LibxlHeader{}})
	libxc := encode(t, Options{Outermost: LayerLibxc}, []Body{&LibxcHeader{3, GuestPV, 4, 17}})
	for _, tt := range []struct {
		name  string
		layer Layer
		good  []byte
		at    int
		patch string
		want  string
		class error
	}{
		{"not xl's", LayerXL, xl, 0, "LinuxGuestRecord", `not a saved domain of xl: it begins with "LinuxGuestRecord"`, ErrStream},
		{"xl of the other byte order", LayerXL, xl, 32, "\x01\x02\x03\x04", "big-endian", errors.ErrUnsupported},
		{"byte order", LayerXL, xl, 32, "\x01", "byte order mark", ErrStream},
		{"newer xl", LayerXL, xl, 36, "\x07", "mandatory flags 0x4 are unknown", errors.ErrUnsupported},
		{"xl of 4.5", LayerXL, xl, 36, "\x01", "Xen 4.5 and older; restore and save it again", errors.ErrUnsupported},
		{"xl of 4.4", LayerXL, xl, 36, "\x02", "not JSON", errors.ErrUnsupported},
		{"configuration beyond the data", LayerXL, xl, 48, "\xff\xff\xff\xff", "a configuration of 4294967295 bytes in", ErrStream},
		{"too much data", LayerXL, xl, 44, "\xff\xff\xff\xff", "at most 16777216 are accepted", ErrStream},
		{"not libxl's", LayerLibxl, libxl, 0, "l", `libxl header at offset 0x0: ident is "libxlFmt"`, ErrStream},
		{"libxl version", LayerLibxl, libxl, 11, "\x03", "version 3, only version 2 is known", errors.ErrUnsupported},
		{"libxl big-endian", LayerLibxl, libxl, 15, "\x01", "big-endian", errors.ErrUnsupported},
		{"libxl reserved option", LayerLibxl, libxl, 15, "\x04", "reserved bits", ErrStream},
		{"legacy libxc", LayerLibxc, libxc, 0, "\x00", "Xen 4.5 and older", errors.ErrUnsupported},
		{"libxc ident", LayerLibxc, libxc, 8, "Y", `ident is "YENF"`, ErrStream},
		{"libxc version 1", LayerLibxc, libxc, 15, "\x01", "version 1, versions 2 and 3 are known", errors.ErrUnsupported},
		{"libxc version 4", LayerLibxc, libxc, 15, "\x04", "version 4", errors.ErrUnsupported},
		{"libxc big-endian", LayerLibxc, libxc, 17, "\x01", "big-endian", errors.ErrUnsupported},
		{"libxc reserved", LayerLibxc, libxc, 20, "\x01", "reserved bits", ErrStream},
		{"guest type", LayerLibxc, libxc, 24, "\x03", "guest type 3", ErrStream},
		{"page size", LayerLibxc, libxc, 28, "\x0d", "pages of 2^13 bytes", ErrStream},
		{"domain header reserved", LayerLibxc, libxc, 30, "\x01", "reserved bits 0x1", ErrStream},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := bytes.Clone(tt.good)
			copy(b[tt.at:], tt.patch)
			checkRefused(t, b, Options{Outermost: tt.layer, Strict: true}, tt.want, tt.class)
		})
	}
}

// TestBadBodies has records whose bodies are wrong, where they may stand.
func TestBadBodies(t *testing.T) {
	le := binary.LittleEndian
	words := func(v ...uint64) (b []byte) {
		for _, x := range v {
			b = le.AppendUint64(b, x)
		}
		return b
	}
	for _, tt := range []struct {
		name string
		typ  Type
		body []byte
		want string
	}{
		{"no pages", TypePageData, words(0, 0), "no pages"},
		{"1025 pages", TypePageData, append(words(MaxPages+1), make([]byte, 8*(MaxPages+1))...), "record 0 (PAGE_DATA) at offset 0x0: 1025 pages, at most 1024 may be in one record"},
		{"1025 pages with content", TypePageData, append(words(MaxPages+1), make([]byte, 4104*(MaxPages+1))...), "1025 pages, at most 1024 may be in one record"},
		{"fewer numbers than pages", TypePageData, words(2, 0), "too few for the numbers of 2 pages"},
		{"page type", TypePageData, words(1, 5<<60), "type 0x5 does not exist"},
		{"missing content", TypePageData, words(2, 0, 1), "0 bytes of content for 2 of 2 pages, want 8192"},
		{"content of a page without", TypePageData, append(words(1, 0xf<<60), page(0)...), "4096 bytes of content for 0 of 1 pages, want 0"},
		{"reserved bits of a number", TypePageData, words(1, 0xf<<60|1<<55), "reserved bits"},
		{"reserved word", TypePageData, words(1|1<<32, 0xf<<60), "a reserved field is 0x1"},
		{"width", TypePVInfo, []byte{8, 3, 0, 0, 0, 0, 0, 0}, "do not go together"},
		{"short info", TypePVInfo, []byte{8, 4}, "a body of 2 bytes, want 8"},
		{"table backwards", TypeP2MFrames, words(5, 0), "entries 0x5 to 0x0"},
		{"table with too few frames", TypeP2MFrames, words(0x7ff<<32, 1), "1 frames for the entries 0x0 to 0x7ff, want 4"},
		{"vcpu number", TypeVCPUXSave, append(words(8192), make([]byte, 16)...), "vcpu 8192, at most 8192 exist"},
		{"vcpu context", TypeVCPUBasic, append(words(0), make([]byte, 100)...), "a context of 100 bytes, want 5168"},
		{"extended context", TypeVCPUExtended, append(words(0), make([]byte, 129)...), "at most 136 are accepted"},
		{"xsave", TypeVCPUXSave, append(words(0), make([]byte, 15)...), "a context of 15 bytes, want 16"},
		{"half a register", TypeVCPUMSRs, append(words(0), make([]byte, 8)...), "a multiple of 16"},
		{"shared info", TypeSharedInfo, make([]byte, 4095), "a body of 4095 bytes, want 4096"},
		{"empty context", TypeHVMContext, nil, "a body of 0 bytes, at least 1"},
		{"parameters", TypeHVMParams, words(2, 1, 2), "2 parameters in 24 bytes"},
		{"no leaves", TypeCPUIDPolicy, nil, "at least 24"},
		{"half a leaf", TypeCPUIDPolicy, make([]byte, 36), "a multiple of 24"},
		{"a mark with a body", TypeEnd, make([]byte, 8), "a body of 8 bytes, want 0"},
		{"emulator", TypeEmulatorContext, words(3), "emulator 3 is unknown"},
		{"odd strings", TypeEmulatorStore, append(words(2), "key\x00"...), "node 0 has no end or no value"},
		{"no NUL", TypeEmulatorStore, append(words(2), "key\x00value"...), "node 0 has no end or no value"},
		{"absolute key", TypeEmulatorStore, append(words(2), "/local\x00v\x00"...), `key "/local" is not relative`},
		{"key upwards", TypeEmulatorStore, append(words(2), "../x\x00v\x00"...), "bad path"},
		{"COLO's state", TypeCheckpointState, []byte{4, 0, 0, 0}, "state 4 is unknown"},
		{"half a dirty page", TypeDirtyPFNs, make([]byte, 4), "a multiple of 8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Reader{src: bytes.NewReader(raw(tt.typ, tt.body)), strict: true, rules: ready(tt.typ, 3)}
			_, err := r.Next()
			if !errors.Is(err, ErrStream) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if _, again := r.Next(); again != err {
				t.Errorf("the next call gives %v", again)
			}
		})
	}
}

// TestPagesBeyondTheTable refuses pages that a PV guest's table does not cover.
func TestPagesBeyondTheTable(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b, Options{Outermost: LayerLibxc})
	for _, body := range []Body{&LibxcHeader{3, GuestPV, 4, 17}, &PVInfo{8, 4}, Mark(TypeStaticDataEnd), pvMemory()[0]} {
		if err := w.Write(body); err != nil {
			t.Fatal(err)
		}
	}
	n := b.Len()
	err := w.Write(&PageData{PFNs: []abi.PFN{0x400}, Types: []PageType{PageNone}})
	if !errors.Is(err, ErrStream) || b.Len() != n {
		t.Errorf("%v, %d bytes", err, b.Len()-n)
	}
	err = w.Write(&PageData{PFNs: []abi.PFN{0x3ff}, Types: []PageType{PageNone}})
	if err != nil {
		t.Errorf("after a refusal: %v", err)
	}
}
