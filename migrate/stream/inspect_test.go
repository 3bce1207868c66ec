package stream

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func find(t *testing.T, name string) sample {
	t.Helper()
	for _, s := range samples() {
		if s.name == name {
			return s
		}
	}
	t.Fatal("no sample", name)
	return sample{}
}

// TestInspect has the whole text for one stream.
func TestInspect(t *testing.T) {
	s := find(t, "HVM")
	var got strings.Builder
	sum, err := Inspect(&got, bytes.NewReader(s.encode(t)), Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	want := `      offset      bytes  record
         0x0        109  xl header: a configuration of 57 bytes
        0x6d         16    libxl header: version 2
        0x7d          8    LIBXC_CONTEXT
        0x85         40      libxc header: version 3, HVM guest, Xen 4.17
        0xad         56      X86_CPUID_POLICY: 2 leaves
        0xe5         24      X86_MSR_POLICY: 1 registers
        0xfd          8      STATIC_DATA_END
       0x105       4128      PAGE_DATA: 2 pages from 0x0 to 0xfeffc, 1 with content
      0x1125         24      PAGE_DATA: 1 pages from 0x5 to 0x5, 0 with content
      0x113d          8      VERIFY
      0x1145       4120      PAGE_DATA: 1 pages from 0x0 to 0x0, to be compared
      0x215d         32      X86_TSC_INFO: mode 0, 1 kHz, 0 ns, incarnation 0
      0x217d         48      HVM_CONTEXT
                               HEADER: 1, 8 bytes
                               CPU: 1, 4 bytes
      0x21ad         48      HVM_PARAMS: 1=0xfeffc 17=0xfeffd
      0x21dd          8      END
      0x21e5         64    EMULATOR_XENSTORE_DATA: qemu 0, 2 nodes
      0x2225         40    EMULATOR_CONTEXT: qemu 0, 21 bytes
      0x224d          8    END

 records        bytes  type
       1          109  xl header
       1           16    libxl header
       1           40      libxc header
       1            8    END
       1            8    LIBXC_CONTEXT
       1           64    EMULATOR_XENSTORE_DATA
       1           40    EMULATOR_CONTEXT
       1            8      END
       3         8272      PAGE_DATA
       1           32      X86_TSC_INFO
       1           48      HVM_CONTEXT
       1           48      HVM_PARAMS
       1            8      VERIFY
       1            8      STATIC_DATA_END
       1           56      X86_CPUID_POLICY
       1           24      X86_MSR_POLICY

   pages  type
       2  normal
       1  allocate only
       1  not there
`
	if d := cmp.Diff(want, got.String()); d != "" {
		t.Error(d)
	}
	const line = `HVM guest "web", 1 pages (0 MiB) and 1 to compare, 15 records, 8789 bytes, libxc version 3, saved by Xen 4.17`
	if sum.String() != line {
		t.Errorf("%s, want %s", sum, line)
	}
}

// TestInspectEverySample has each kind of body described, and none wrongly counted.
func TestInspectEverySample(t *testing.T) {
	for _, s := range samples() {
		all := s.encode(t)
		sum, err := Inspect(io.Discard, iotest.OneByteReader(bytes.NewReader(all)), s.opts)
		switch {
		case s.opts.BackChannel && errors.Is(err, io.ErrUnexpectedEOF):
		case s.name == "PV 32-bit version 2" && errors.Is(err, ErrStream): // TOOLSTACK
			continue
		case err != nil:
			t.Error(s.name, err)
		}
		total := int64(0)
		for _, c := range sum.Types {
			total += c.Bytes
		}
		if total != int64(len(all)) || sum.Bytes != total {
			t.Errorf("%s: %d and %d bytes counted of %d", s.name, total, sum.Bytes, len(all))
		}
	}
}

// TestVerifyLooksDeeper has what a Reader takes and a restore would not.
func TestVerifyLooksDeeper(t *testing.T) {
	pvh := func(head Body, context HVMContext) []byte {
		return encode(t, Options{}, join([]Body{head, &LibxlHeader{}, Mark(TypeLibxcContext), &LibxcHeader{3, GuestHVM, 4, 17},
			Mark(TypeStaticDataEnd), context, Mark(TypeEnd)}, emulator(), []Body{Mark(TypeLibxlEnd)}))
	}
	for _, tt := range []struct {
		name  string
		bytes []byte
		want  string
	}{
		{"a chain without end", pvh(config("hvm"), hvmContext()[:26]), "record 2 (HVM_CONTEXT) at offset 0xb5: hvm context: CPU at offset 0x10 has 4 bytes, 2 are left"},
		{"a chain and more", pvh(config("hvm"), append(hvmContext(), 1)), "hvm context: 1 bytes in or after its END"},
		{"no configuration", pvh(&XLHeader{Config: []byte("memory = 3")}, hvmContext()), "xl header at offset 0x0: the configuration: invalid character"},
		{"no kind", pvh(config("pvx"), hvmContext()), `of a guest of type "pvx"`},
		{"another kind", pvh(config("pv"), hvmContext()), "libxc header at offset 0x84: the state of a guest of type HVM, but the configuration is of one of type pv"},
		{"emulator of a PVH guest", pvh(config("pvh"), hvmContext()), "a PVH guest has no emulator"},
		{"toolstack record", find(t, "PV 32-bit version 2").encode(t), "no release restores this record"},
	} {
		r, layer, err := Detect(bytes.NewReader(tt.bytes))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Verify(r, Options{Outermost: layer})
		if !errors.Is(err, ErrStream) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
