package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"goxl/migrate/savefile"
	"goxl/migrate/stream"
	"goxl/xenctrl/abi"
)

// savedGuest is a small stream: two pages of a PVH guest called web.
func savedGuest() []byte {
	var b bytes.Buffer
	w := stream.NewWriter(&b, stream.Options{})
	for _, body := range []stream.Body{
		&stream.XLHeader{Config: []byte(`{"c_info": {"type": "pvh", "name": "web"}}` + "\x00")},
		&stream.LibxlHeader{}, stream.Mark(stream.TypeLibxcContext),
		&stream.LibxcHeader{Version: 3, Guest: stream.GuestHVM, XenMajor: 4, XenMinor: 17},
		stream.Mark(stream.TypeStaticDataEnd),
		&stream.PageData{
			PFNs:  []abi.PFN{0, 1, 2},
			Types: []stream.PageType{stream.PageNormal, stream.PageNone, stream.PageNormal},
			Data:  make([]byte, 2*abi.PageSize),
		},
		stream.HVMContext{0, 0, 0, 0, 0, 0, 0, 0},
		stream.Mark(stream.TypeEnd), stream.Mark(stream.TypeLibxlEnd),
	} {
		if err := w.Write(body); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func scriptSaved(ts *testscript.TestScript, _ bool, args []string) {
	b := savedGuest()
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	if at >= 0 {
		b[at] ^= 0x40
	}
	if len(args) > 2 { // "compressed"
		var out bytes.Buffer
		w := savefile.NewWriter(&out)
		_, err := w.Write(b)
		ts.Check(errors.Join(err, w.Close()))
		b = out.Bytes()
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o600))
}

// TestStreamNeedsNoXen runs the verb where Xen cannot be opened.
func TestStreamNeedsNoXen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "web.save")
	if err := os.WriteFile(file, append(savedGuest(), "tail"...), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	status := run(context.Background(), []string{"xl", "stream", "verify", file}, surroundings{
		stdout: &out, stderr: &errs, release: func() release { return 17 },
		connect: func(context.Context) (*host, error) { return nil, errors.New("no Xen here") },
	})
	if want := file + `: a sound stream: PVH guest "web", 2 pages`; status != 0 || !strings.HasPrefix(out.String(), want) || errs.Len() > 0 {
		t.Errorf("%d %q %q", status, out.String(), errs.String())
	}
	if !strings.Contains(out.String(), "more bytes follow its end") {
		t.Errorf("nothing about the tail: %s", out.String())
	}
}
