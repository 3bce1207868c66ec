package blkif

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goxl/xenctrl/abi"
)

// The requests of testdata/dump.c.
func golden() (write, discard, indir Request) {
	base := Request{ID: 0x0102030405060708, Sector: 0x1112131415161718}
	write, discard, indir = base, base, base
	write.Op, write.Count = Write, MaxSegments
	for i := range write.Segments {
		write.Segments[i] = Segment{abi.GrantRef(0x0d0c0b00 + i), uint8(i % 4), uint8(7 - i%4)}
	}
	discard.Op, discard.Secure, discard.Sectors = Discard, true, 0x2122232425262728
	indir.Op, indir.Indirect, indir.Count = Read, true, 0x201
	for i := range indir.Pages {
		indir.Pages[i] = abi.GrantRef(0x0d0c0b00 + i)
	}
	return write, discard, indir
}

// lines returns a golden file as name and value.
func lines(t *testing.T, file string) map[string]string {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "#") {
			continue
		}
		if name, v, ok := strings.Cut(line, " = "); ok {
			m[name] = v
		} else if name, v, ok := strings.Cut(line, " "); ok {
			m[name] = v
		}
	}
	return m
}

func TestGolden(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.golden")
	if len(files) != 9 {
		t.Fatalf("%d golden files, want one for each release from 4.14 to 4.22", len(files))
	}
	write, discard, indir := golden()
	for _, file := range files {
		want := lines(t, file)
		for suffix, l := range map[string]Layout{"64": X86_64, "32": X86_32} {
			for name, r := range map[string]*Request{"request": &write, "discard": &discard, "indirect": &indir} {
				wire, err := hex.DecodeString(want[name+suffix])
				if err != nil || len(wire) == 0 {
					t.Fatalf("%s: %s%s: %v", file, name, suffix, err)
				}
				slot := bytes.Repeat([]byte{0xaa}, l.SlotSize())
				l.Put(slot, r, 0x2101)
				if !bytes.Equal(slot[:len(wire)], wire) {
					t.Errorf("%s: %s%s is\n%x, want\n%x", file, name, suffix, slot[:len(wire)], wire)
				}
				var got Request
				l.Decode(&got, append(wire, make([]byte, l.SlotSize()-len(wire))...))
				if diff := cmp.Diff(*r, got); diff != "" {
					t.Errorf("%s: %s%s decodes to (-want +got):\n%s", file, name, suffix, diff)
				}
			}
			b := bytes.Repeat([]byte{0xaa}, 16)
			n := l.PutResponse(b, write.ID, Barrier, Unsupported)
			if got := hex.EncodeToString(b[:n]); got != want["response"+suffix] {
				t.Errorf("%s: response%s is %s, want %s", file, suffix, got, want["response"+suffix])
			}
			if got := DecodeResponse(b); got != (Response{write.ID, Barrier, Unsupported}) {
				t.Errorf("response decodes to %+v", got)
			}
			if strconv.Itoa(l.SlotSize()) != want["slot"+suffix] {
				t.Errorf("%s: slot%s = %s, ours %d", file, suffix, want["slot"+suffix], l.SlotSize())
			}
		}
		for name, v := range map[string]int{
			"BLKIF_OP_READ": int(Read), "BLKIF_OP_WRITE": int(Write), "BLKIF_OP_WRITE_BARRIER": int(Barrier),
			"BLKIF_OP_FLUSH_DISKCACHE": int(Flush), "BLKIF_OP_DISCARD": int(Discard), "BLKIF_OP_INDIRECT": int(indirect),
			"BLKIF_RSP_OKAY": int(OK), "BLKIF_RSP_ERROR": int(Error), "BLKIF_RSP_EOPNOTSUPP": int(Unsupported),
			"BLKIF_MAX_SEGMENTS_PER_REQUEST": MaxSegments, "BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST": MaxPages,
		} {
			if strconv.Itoa(v) != want[name] {
				t.Errorf("%s: %s = %s, ours %d", file, name, want[name], v)
			}
		}
	}
}
