package coredump

import (
	"bytes"
	"debug/elf"
	"io"
	"os"
	"testing"

	"goxl/xenctrl/abi"
)

// What the genuine tool of Xen 4.17 wrote up to the registers, for a PV guest of 128
// MiB with three vcpus and a PVH guest with two, on Debian 12.
func TestHeadIsTheGenuineOnes(t *testing.T) {
	for _, tt := range []struct {
		file string
		l    layout
	}{
		{"pv-4.17.head", layout{vcpus: 3, sharedInfo: true, pages: 0x8000}},
		{"pvh-4.17.head", layout{hvm: true, vcpus: 2, sharedInfo: true, pages: 0x8010}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			want, err := os.ReadFile("testdata/" + tt.file)
			if err != nil {
				t.Fatal(err)
			}
			tt.l.notes = notesSize
			notes := want[len(tt.l.head()):]
			got := appendNotes(tt.l.head(), tt.l, parseXenVersion(notes[2*noteHead+headerDesc+noteHead:]))
			if !bytes.Equal(got, want) {
				t.Errorf("first difference at %d of %d bytes", mismatch(got, want), len(want))
			}
		})
	}
}

// parseXenVersion reads what appendNotes wrote, so that the golden file need not
// be repeated here.
func parseXenVersion(b []byte) xenVersion {
	text := func(n int) string {
		s, _, _ := bytes.Cut(b[:n], []byte{0})
		b = b[n:]
		return string(s)
	}
	number := func() uint64 {
		n := uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 | uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
		b = b[8:]
		return n
	}
	var v xenVersion
	v.major, v.minor = number(), number()
	v.extra = text(16)
	v.compiled = abi.CompileInfo{Compiler: text(64), By: text(16), Domain: text(32), Date: text(32)}
	v.capabilities, v.changeset = text(1024), text(64)
	v.virtStart, v.pageSize = number(), number()
	return v
}

func mismatch(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// An ELF reader finds all sections, whatever the guest is like.
func TestSections(t *testing.T) {
	for _, l := range []layout{
		{vcpus: 1, sharedInfo: true, pages: 1}, {vcpus: 128, sharedInfo: true, pages: 3},
		{hvm: true, vcpus: 2, pages: 2}, {hvm: true, vcpus: 1, sharedInfo: true, pages: 0},
	} {
		l.notes = notesSize
		size := l.size()
		b := append(l.head(), make([]byte, size)...)[:size]
		strings := l.sections()[0]
		copy(b[strings.offset:], names(l.sections()))
		f, err := elf.NewFile(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		if got, want := f.Section(secSharedInfo) != nil, l.sharedInfo; got != want {
			t.Errorf("%+v: shared info %v", l, got)
		}
		pages := f.Section(secPages)
		if pages == nil || pages.Offset%abi.PageSize != 0 || pages.Size != l.pages<<abi.PageShift {
			t.Errorf("%+v: pages %+v", l, pages)
		}
		end := uint64(0)
		for _, s := range f.Sections[2:] {
			if s.Offset < end {
				t.Errorf("%+v: %s overlaps", l, s.Name)
			}
			end = s.Offset + s.Size
		}
		if strings.offset != end {
			t.Errorf("%+v: strings at %d, want %d", l, strings.offset, end)
		}
	}
}

// Runs give the table that was put in.
func TestRuns(t *testing.T) {
	var r runs
	for _, p := range []page{{0, 9}, {1, 10}, {2, 30}, {5, 33}, {6, 34}} {
		r.add(p)
	}
	if len(r.list) != 3 {
		t.Errorf("%d runs, want 3", len(r.list))
	}
	var b bytes.Buffer
	if err := r.table(true, 7, func(p []byte) error { b.Write(p); return nil }); err != nil {
		t.Fatal(err)
	}
	want := []byte{0, 1, 2, 5, 6, 0xff, 0xff}
	for i, w := range want {
		if b.Bytes()[8*i] != w {
			t.Errorf("entry %d is %#x, want %#x", i, b.Bytes()[8*i], w)
		}
	}
	if err := r.table(false, 7, func([]byte) error { return io.ErrShortWrite }); err != io.ErrShortWrite {
		t.Errorf("error %v is lost", err)
	}
}
