package disks

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"goxl/migrate/stream"
)

// FuzzReceiver gives a Receiver any records: it ends with an error or with whole disks, has
// touched nothing but its own files, and leaves nothing.
func FuzzReceiver(f *testing.F) {
	encode := func(bodies ...stream.Body) []byte {
		var b bytes.Buffer
		w := stream.NewWriter(&b, stream.Options{Outermost: stream.LayerLibxl})
		for _, body := range append([]stream.Body{&stream.LibxlHeader{}}, bodies...) {
			if err := w.Write(body); err != nil {
				f.Fatal(err)
			}
		}
		return b.Bytes()
	}
	head := len(encode())
	begin := &stream.DiskBegin{Size: 100 << 10, Format: "raw", Name: "xvda"}
	s, _ := newSums(100 << 10)
	whole := []stream.Body{begin, &stream.DiskData{Data: bytes.Repeat([]byte{1}, 64<<10)}, &stream.DiskRound{},
		&stream.DiskZero{Length: 64 << 10}, &stream.DiskData{Offset: 64 << 10, Data: make([]byte, 36<<10)}, &stream.DiskEnd{Sum: s.disk()}}
	f.Add(encode(whole...)[head:])
	f.Add(encode(&stream.DiskBegin{Size: 1 << 20, Format: "qcow2", Name: "xvdb", Overwrite: true}, &stream.DiskZero{Length: 1 << 20}, &stream.DiskRound{})[head:])
	f.Add(encode(begin, &stream.DiskZero{Offset: 64 << 10, Length: 512}, &stream.DiskEnd{})[head:])
	prefix := encode()
	f.Fuzz(func(t *testing.T, b []byte) {
		dir, err := os.MkdirTemp("/dev/shm", "disks") // in memory: there is a sync in each round
		if err != nil {
			dir = t.TempDir()
		}
		defer os.RemoveAll(dir)
		old := filepath.Join(dir, "b")
		if err := os.WriteFile(old, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := &Receiver{Targets: map[string]Target{"xvda": {filepath.Join(dir, "a"), "raw"}, "xvdb": {old, "qcow2"}}}
		in := stream.NewReader(bytes.NewReader(append(bytes.Clone(prefix), b...)), stream.Options{Outermost: stream.LayerLibxl})
		for err = nil; err == nil; {
			var rec stream.Record
			if rec, err = in.Next(); err == nil {
				if d, ok := rec.Body.(*stream.DiskBegin); ok && d.Size > 64<<20 {
					return // it is made, and takes time
				}
				_, err = r.Take(t.Context(), rec.Body)
			}
		}
		_ = r.Publish()
		if err := r.Discard(); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		list, err := os.ReadDir(dir)
		if got, _ := os.ReadFile(old); err != nil || len(list) != 1 || string(got) != "old" {
			t.Errorf("in the folder are %v, and the old file holds %q", list, got)
		}
	})
}
