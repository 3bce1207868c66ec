package image

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bzImage wraps a payload as Linux's build does.
func bzImage(payload []byte) []byte {
	b := make([]byte, 2*512)
	b[bzSetupSects] = 1
	copy(b[bzMagic:], "HdrS")
	binary.LittleEndian.PutUint16(b[bzVersion:], 0x020f)
	binary.LittleEndian.PutUint32(b[bzPayloadOffset:], 0x10)
	binary.LittleEndian.PutUint32(b[bzPayloadLength:], uint32(len(payload)))
	b = append(b, make([]byte, 0x10)...)
	b = append(b, payload...)
	return append(b, "what follows the payload"...)
}

func gzipped(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(b)
	_ = w.Close()
	return z.Bytes()
}

// payloads are the same ELF file, packed by the tools that Linux's build uses;
// testdata/README says how.
func payloads(t testing.TB) map[string][]byte {
	names, err := filepath.Glob("testdata/payload.elf.*")
	if err != nil || len(names) != 8 {
		t.Fatalf("testdata holds %d payloads (%v)", len(names), err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(filepath.Ext(name), ".")] = b
	}
	return all
}

func plain(t testing.TB) []byte {
	b, err := Unpack(bzImage(payloads(t)["gz"]), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestUnpackPayloads(t *testing.T) {
	want := plain(t)
	if im, err := Parse(want); err != nil {
		t.Fatal(err)
	} else if _, err := im.PV(); err != nil {
		t.Fatal(err)
	}
	for name, payload := range payloads(t) {
		t.Run(name, func(t *testing.T) {
			got, err := Unpack(bzImage(payload), Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("unpacked %d bytes, want the %d of the ELF file", len(got), len(want))
			}
			_, err = Unpack(bzImage(payload), Limits{Unpacked: int64(len(want)) - 1})
			if !errors.Is(err, ErrFormat) {
				t.Errorf("with a limit one byte too small: %v", err)
			}
			if _, err = Unpack(bzImage(payload[:len(payload)*2/3]), Limits{}); !errors.Is(err, ErrFormat) {
				t.Errorf("cut short: %v", err)
			}
		})
	}
}

func TestUnpackContainers(t *testing.T) {
	elf := linuxLike().bytes()
	for _, tt := range []struct {
		name string
		src  []byte
	}{
		{"plain ELF", elf},
		{"gzip of an ELF", gzipped(elf)},
		{"gzip of a bzImage", gzipped(bzImage(gzipped(elf)))},
		{"bzImage that is not packed", bzImage(elf)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Unpack(tt.src, Limits{})
			if err != nil || !bytes.Equal(got, elf) {
				t.Errorf("Unpack = %d bytes, %v", len(got), err)
			}
		})
	}
}

func TestUnpackRefusals(t *testing.T) {
	old := bzImage(nil)
	binary.LittleEndian.PutUint16(old[bzVersion:], 0x0207)
	far := bzImage(nil)
	binary.LittleEndian.PutUint32(far[bzPayloadLength:], 1<<31)
	for _, tt := range []struct {
		name, want string
		src        []byte
	}{
		{"text", "neither an ELF", []byte("#!/bin/sh\n")},
		{"empty", "neither an ELF", nil},
		{"old protocol", "boot protocol 2.07", old},
		{"payload outside", "cut short", far},
		{"unknown payload", "not a compression", bzImage([]byte("abcdefghi"))},
		{"no ELF inside", "no ELF", bzImage(gzipped([]byte("not a kernel")))},
		{"bomb", "larger than the limit", bzImage(gzipped(make([]byte, 9<<20)))},
		{"bomb around", "larger than the limit", gzipped(make([]byte, 9<<20))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Unpack(tt.src, Limits{Unpacked: 8 << 20})
			if err == nil || !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an ErrFormat that mentions %q", err, tt.want)
			}
		})
	}
	if _, err := Load(bytes.NewReader(old), int64(len(old)), Limits{File: 100}); !errors.Is(err, ErrTooBig) {
		t.Errorf("file over the limit: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	for _, p := range payloads(f) {
		f.Add(bzImage(p))
	}
	f.Add(gzipped(linuxLike().bytes()))
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := Unpack(b, Limits{Unpacked: 1 << 20})
		if err != nil && !errors.Is(err, ErrFormat) {
			t.Fatalf("not an ErrFormat: %v", err)
		}
		if err == nil && len(out) > max(1<<20, len(b)) {
			t.Fatalf("%d bytes came out", len(out))
		}
	})
}
