package blkif

import "testing"

func TestCheck(t *testing.T) {
	page := Segment{1, 0, 7}
	for _, tt := range []struct {
		name string
		edit func(r *Request, d *Disk)
		n    int
		want Status
	}{
		{"one page", nil, 4096, OK},
		{"the last sectors", func(r *Request, d *Disk) { r.Sector = 992 }, 4096, OK},
		{"one sector too far", func(r *Request, d *Disk) { r.Sector = 993 }, 0, Error},
		{"the last sector number", func(r *Request, d *Disk) { r.Sector = 1<<64 - 1 }, 0, Error},
		{"wraps to the start", func(r *Request, d *Disk) { r.Sector = 1<<64 - 8 }, 0, Error},
		{"no segments", func(r *Request, d *Disk) { r.Count = 0 }, 0, Error},
		{"eleven segments", func(r *Request, d *Disk) { r.Count = 11 }, 11 * 4096, OK},
		{"twelve segments", func(r *Request, d *Disk) { r.Count = 12 }, 0, Error},
		{"255 segments", func(r *Request, d *Disk) { r.Count = 255 }, 0, Error},
		{"segment ends before it starts", func(r *Request, d *Disk) { r.Segments[0] = Segment{1, 5, 4} }, 0, Error},
		{"segment beyond the page", func(r *Request, d *Disk) { r.Segments[0] = Segment{1, 0, 8} }, 0, Error},
		{"one sector", func(r *Request, d *Disk) { r.Segments[0] = Segment{1, 7, 7} }, 512, OK},
		{"half a 4 KiB sector", func(r *Request, d *Disk) { d.SectorSize = 4096; r.Segments[0].Last = 3 }, 0, Error},
		{"off a 4 KiB boundary", func(r *Request, d *Disk) { d.SectorSize = 4096; r.Sector = 4 }, 0, Error},
		{"a whole 4 KiB sector", func(r *Request, d *Disk) { d.SectorSize = 4096; r.Sector = 8 }, 4096, OK},
		{"write to a read-only disk", func(r *Request, d *Disk) { d.ReadOnly = true; r.Op = Write }, 0, Error},
		{"barrier on a read-only disk", func(r *Request, d *Disk) { d.ReadOnly = true; r.Op = Barrier }, 0, Error},
		{"flush of a read-only disk", func(r *Request, d *Disk) { d.ReadOnly = true; r.Op, r.Count = Flush, 0 }, 0, OK},
		{"flush with data", func(r *Request, d *Disk) { r.Op = Flush }, 4096, OK},
		{"empty barrier", func(r *Request, d *Disk) { r.Op, r.Count, r.Sector = Barrier, 0, 1<<64-1 }, 0, OK},
		{"reserved operation", func(r *Request, d *Disk) { r.Op = 4 }, 0, Unsupported},
		{"unknown operation", func(r *Request, d *Disk) { r.Op = 200 }, 0, Unsupported},
		{"nested indirect", func(r *Request, d *Disk) { r.Op, r.Indirect = indirect, true }, 0, Unsupported},
		{"indirect flush", func(r *Request, d *Disk) { r.Op, r.Indirect = Flush, true }, 0, Unsupported},
		{"indirect without segments", func(r *Request, d *Disk) { r.Indirect, r.Count = true, 0 }, 0, Error},
		{"indirect beyond the offer", func(r *Request, d *Disk) { r.Indirect, r.Count = true, 257 }, 0, Error},
		{"indirect not offered", func(r *Request, d *Disk) { r.Indirect = true; d.MaxIndirect = 0 }, 0, Unsupported},
		{"indirect", func(r *Request, d *Disk) { r.Indirect = true }, 4096, OK},
		{"discard", func(r *Request, d *Disk) { r.Op, r.Sectors = Discard, 100 }, 0, OK},
		{"discard all", func(r *Request, d *Disk) { r.Op, r.Sectors = Discard, 1000 }, 0, OK},
		{"discard too much", func(r *Request, d *Disk) { r.Op, r.Sectors = Discard, 1001 }, 0, Error},
		{"discard wraps", func(r *Request, d *Disk) { r.Op, r.Sector, r.Sectors = Discard, 8, 1<<64-8 }, 0, Error},
		{"discard not offered", func(r *Request, d *Disk) { r.Op, d.Discard = Discard, false }, 0, Unsupported},
		{"secure not offered", func(r *Request, d *Disk) { r.Op, r.Secure, r.Sectors = Discard, true, 8 }, 0, Unsupported},
		{"discard on a read-only disk", func(r *Request, d *Disk) { r.Op, r.Sectors, d.ReadOnly = Discard, 8, true }, 0, Error},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Disk{Sectors: 1000, SectorSize: 512, Discard: true, MaxIndirect: 256}
			r := Request{Op: Read, Count: 1}
			for i := range r.Segments {
				r.Segments[i] = page
			}
			if tt.edit != nil {
				tt.edit(&r, &d)
			}
			n, got := r.Check(&d, r.Segments[:min(r.Count, MaxSegments)])
			if n != tt.n || got != tt.want {
				t.Errorf("Check() = %d, %d, want %d, %d", n, got, tt.n, tt.want)
			}
		})
	}
}

func TestParseProtocol(t *testing.T) {
	for s, want := range map[string]Layout{"": X86_64, "x86_64-abi": X86_64, "arm-abi": X86_64, "x86_32-abi": X86_32} {
		if got, err := ParseProtocol(s); got != want || err != nil {
			t.Errorf("ParseProtocol(%q) = %d, %v", s, got, err)
		}
	}
	for _, s := range []string{"x86_32", "X86_64-ABI", "x86_64-abi ", string(make([]byte, 4000))} {
		if _, err := ParseProtocol(s); err == nil || len(err.Error()) > 200 {
			t.Errorf("ParseProtocol(%.20q) = %v", s, err)
		}
	}
}

// FuzzRequest takes any slot. What Check lets through must lie on the disk.
func FuzzRequest(f *testing.F) {
	write, discard, indir := golden()
	for _, r := range []*Request{&write, &discard, &indir} {
		for _, l := range []Layout{X86_64, X86_32} {
			b := make([]byte, l.SlotSize())
			l.Put(b, r, 0)
			f.Add(b, uint8(l), uint64(1<<40), false)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, layout uint8, sectors uint64, ro bool) {
		l := Layout(layout % 2)
		slot := append(b, make([]byte, 112)...)[:l.SlotSize()]
		var r Request
		l.Decode(&r, slot)
		d := Disk{Sectors: sectors % (1 << 50), ReadOnly: ro, Discard: true, MaxIndirect: 256, SectorSize: 512}
		n, s := r.Check(&d, r.Segments[:min(r.Count, MaxSegments)])
		switch {
		case s != OK:
		case ro && (r.Op == Write || r.Op == Barrier || r.Op == Discard):
			t.Errorf("%+v changes a read-only disk", r)
		case r.Op == Discard:
			if end := r.Sector + r.Sectors; end < r.Sector || end > d.Sectors {
				t.Errorf("discard of %d sectors at %d of %d", r.Sectors, r.Sector, d.Sectors)
			}
		case r.Count > 0:
			if end := r.Sector + uint64(n)/SectorSize; n <= 0 || end < r.Sector || end > d.Sectors {
				t.Errorf("%d bytes at sector %d of %d", n, r.Sector, d.Sectors)
			}
			if max := MaxSegments * 4096; n > max {
				t.Errorf("%d bytes in %d segments", n, r.Count)
			}
		}
		again := make([]byte, l.SlotSize())
		if r.Op != indirect && (r.Op <= Flush || r.Op == Discard) { // what we encode decodes to the same
			l.Put(again, &r, 7)
			var r2 Request
			l.Decode(&r2, again)
			if r.Op == Discard || !r.Indirect {
				r2.Indirect = r.Indirect
			}
			if r.Op != Discard && r != r2 {
				t.Errorf("%+v becomes %+v", r, r2)
			}
		}
	})
}

func BenchmarkDecodeAndCheck(b *testing.B) {
	write, _, _ := golden()
	write.Sector = 8
	slot := make([]byte, 112)
	X86_64.Put(slot, &write, 0)
	d := Disk{Sectors: 1 << 30, MaxIndirect: 256}
	var r Request
	b.ReportAllocs()
	for b.Loop() {
		X86_64.Decode(&r, slot)
		if _, s := r.Check(&d, r.Segments[:r.Count]); s != OK {
			b.Fatal(s)
		}
	}
}
