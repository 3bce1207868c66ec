package ring

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// twice maps the same fresh memory two times, as backend and frontend have it.
func twice(t testing.TB, pages int) (back, front []byte) {
	t.Helper()
	fd, err := unix.MemfdCreate("ring", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Ftruncate(fd, int64(pages)*4096); err != nil {
		t.Fatal(err)
	}
	view := func() []byte {
		b, err := unix.Mmap(fd, 0, pages*4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Munmap(b) })
		return b
	}
	return view(), view()
}

func pair(t testing.TB, pages, slot int) (*Back, *Front) {
	t.Helper()
	bm, fm := twice(t, pages)
	f, err := NewFront(fm, slot)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBack(bm, slot)
	if err != nil {
		t.Fatal(err)
	}
	return b, f
}

// TestEntries compares with what the macros of ring.h give.
func TestEntries(t *testing.T) {
	for _, tt := range []struct {
		pages, slot int
		want        uint32
	}{
		{1, BlkSlot, 32}, {2, BlkSlot, 64}, {4, BlkSlot, 128}, {8, BlkSlot, 256}, {16, BlkSlot, 512},
		{1, BlkSlot32, 32}, {16, BlkSlot32, 512}, {1, NetTxSlot, 256}, {1, NetRxSlot, 256}, {1, NetCtrlSlot, 128},
		{0, NetRxSlot, 0}, {1, 5000, 0}, {1, 4032, 1},
	} {
		if got := Entries(tt.pages, tt.slot); got != tt.want {
			t.Errorf("Entries(%d, %d) = %d, want %d", tt.pages, tt.slot, got, tt.want)
		}
	}
}

func TestNewBackRefuses(t *testing.T) {
	mem, _ := twice(t, 1)
	for name, f := range map[string]func() error{
		"no memory":       func() error { _, err := NewBack(nil, NetTxSlot); return err },
		"half a page":     func() error { _, err := NewBack(mem[:2048], NetTxSlot); return err },
		"odd slot":        func() error { _, err := NewBack(mem, 10); return err },
		"unaligned":       func() error { _, err := NewBack(append(make([]byte, 4096), mem...)[1:4097], 8); return err },
		"taken too many":  func() error { _, err := ResumeBack(mem, BlkSlot, 33, 0); return err },
		"answered before": func() error { _, err := ResumeBack(mem, BlkSlot, 3, 4); return err },
	} {
		if f() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestRequestsAndResponses moves random bursts both ways and checks every byte,
// from an index shortly before the wrap.
func TestRequestsAndResponses(t *testing.T) {
	bm, fm := twice(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		slot := rapid.SampledFrom([]int{BlkSlot, BlkSlot32, NetTxSlot, NetRxSlot, NetCtrlSlot}).Draw(t, "slot")
		start := uint32(0) - rapid.Uint32Range(0, 600).Draw(t, "start")
		f, err := NewFront(fm, slot)
		if err != nil {
			t.Fatal(err)
		}
		f.reqPut, f.reqPub, f.rspCons = start, start, start
		for _, w := range []*uint32{f.reqProd, f.rspProd} {
			atomic.StoreUint32(w, start)
		}
		b, err := NewBack(bm, slot)
		if err != nil {
			t.Fatal(err)
		}
		var sent, taken, answered, seen uint32
		word := func(n, salt uint32) []byte {
			p := make([]byte, slot)
			binary.LittleEndian.PutUint32(p, n^salt)
			binary.LittleEndian.PutUint32(p[slot-4:], n+salt)
			return p
		}
		got := make([]byte, slot)
		t.Repeat(map[string]func(*rapid.T){
			"send": func(t *rapid.T) {
				for n := rapid.Uint32Range(0, f.Free()).Draw(t, "n"); n > 0; n-- {
					f.Put(word(sent, 0x1111))
					sent++
				}
				f.Publish()
			},
			"take": func(t *rapid.T) {
				for n := rapid.IntRange(0, 40).Draw(t, "n"); n > 0; n-- {
					ok, err := b.Next(got)
					if err != nil || ok != (taken < sent) {
						t.Fatalf("Next() = %v, %v with %d of %d taken", ok, err, taken, sent)
					}
					if !ok {
						return
					}
					if !bytes.Equal(got, word(taken, 0x1111)) {
						t.Fatalf("request %d is %x", taken, got)
					}
					taken++
				}
			},
			"answer": func(t *rapid.T) {
				for n := rapid.Uint32Range(0, b.Outstanding()).Draw(t, "n"); n > 0; n-- {
					b.Put(word(answered, 0x2222))
					answered++
				}
				b.Publish()
			},
			"see": func(t *rapid.T) {
				for seen < answered {
					if ok, err := f.Next(got); !ok || err != nil {
						t.Fatalf("response %d: %v, %v", seen, ok, err)
					}
					if !bytes.Equal(got, word(seen, 0x2222)) {
						t.Fatalf("response %d is %x", seen, got)
					}
					seen++
				}
			},
		})
	})
}

func TestResponseSlotIsZeroed(t *testing.T) {
	b, f := pair(t, 1, BlkSlot)
	f.Put(bytes.Repeat([]byte{0xaa}, BlkSlot))
	f.Publish()
	if ok, err := b.Next(make([]byte, 16)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	b.Put(bytes.Repeat([]byte{1}, 16))
	if want := append(bytes.Repeat([]byte{1}, 16), make([]byte, BlkSlot-16)...); !bytes.Equal(f.at(0), want) {
		t.Errorf("the slot holds %x", f.at(0))
	}
}

// TestBrokenIndices sets the frontend's index to everything that it cannot be.
func TestBrokenIndices(t *testing.T) {
	for _, tt := range []struct {
		name             string
		taken, answered  uint32
		prod             uint32
		broken, resuming bool
	}{
		{"full", 0, 0, 32, false, false},
		{"one too many", 0, 0, 33, true, false},
		{"far ahead", 0, 0, 1 << 31, true, false},
		{"all bits", 0, 0, 1<<32 - 1, true, false},
		{"backwards", 10, 10, 9, true, true},
		{"backwards behind the answers", 20, 10, 5, true, true},
		{"room is what is not outstanding", 20, 10, 42, false, true},
		{"one more than the room", 20, 10, 43, true, true},
		{"across the wrap", 1<<32 - 2, 1<<32 - 2, 30, false, true},
		{"too far across the wrap", 1<<32 - 2, 1<<32 - 2, 31, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, f := pair(t, 1, BlkSlot)
			if tt.resuming {
				atomic.StoreUint32(f.reqProd, tt.taken)
				var err error
				if b, err = ResumeBack(b.mem, BlkSlot, tt.taken, tt.answered); err != nil {
					t.Fatal(err)
				}
			}
			atomic.StoreUint32(f.reqProd, tt.prod)
			_, err := b.Next(make([]byte, 8))
			if errors.Is(err, ErrRing) != tt.broken {
				t.Errorf("Next() = %v", err)
			}
			if _, err := b.Arm(1); errors.Is(err, ErrRing) != tt.broken {
				t.Errorf("Arm() = %v", err)
			}
		})
	}
}

func TestNotify(t *testing.T) {
	for _, tt := range []struct {
		name             string
		old, prod, event uint32
		want             bool
	}{
		{"reached", 0, 1, 1, true},
		{"passed in a burst", 0, 5, 3, true},
		{"not reached", 0, 2, 3, false},
		{"passed before", 3, 5, 3, false},
		{"nothing new", 5, 5, 5, false},
		{"across the wrap", 1<<32 - 1, 1, 0, true},
		{"behind the wrap", 1<<32 - 3, 1<<32 - 2, 0, false},
	} {
		if got := wants(tt.prod, tt.old, tt.event); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestNoWakeupIsLost lets both sides sleep whenever they may, while the other one
// works. A lost event would hang it.
func TestNoWakeupIsLost(t *testing.T) {
	b, f := pair(t, 1, NetCtrlSlot)
	toBack, toFront := make(chan struct{}, 1), make(chan struct{}, 1)
	send := func(c chan struct{}) {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	const total = 50000
	done := make(chan error, 1)
	go func() { done <- echo(b, total, toBack, func() { send(toFront) }) }()
	req, rsp := make([]byte, 16), make([]byte, 16)
	for sent, seen := uint32(0), uint32(0); seen < total; {
		for sent < total && f.Free() > 0 && (sent%7 != 0 || f.Free() > 100) {
			binary.LittleEndian.PutUint32(req, sent)
			f.Put(req)
			sent++
		}
		if f.Publish() {
			send(toBack)
		}
		ok, err := f.Next(rsp)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			if got := binary.LittleEndian.Uint32(rsp); got != ^seen {
				t.Fatalf("response %d holds %#x", seen, got)
			}
			seen++
			continue
		}
		if more, err := f.Arm(1); err != nil {
			t.Fatal(err)
		} else if !more && (sent == total || f.Free() <= 100) {
			<-toFront
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// echo answers total requests with their complement.
func echo(b *Back, total int, kick <-chan struct{}, notify func()) error {
	buf := make([]byte, 16)
	for n := 0; n < total; {
		for {
			ok, err := b.Next(buf)
			if err != nil {
				return err
			}
			if !ok {
				break
			}
			binary.LittleEndian.PutUint32(buf, ^binary.LittleEndian.Uint32(buf))
			b.Put(buf)
			n++
		}
		if b.Publish() {
			notify()
		}
		if more, err := b.Arm(1); err != nil {
			return err
		} else if !more && n < total {
			<-kick
		}
	}
	return nil
}

// TestWordsAreNotTorn changes requests all the time while the backend takes them.
// The guest writes words of four equal bytes, so a word that was put together of
// several reads shows.
func TestWordsAreNotTorn(t *testing.T) {
	b, f := pair(t, 1, BlkSlot)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() { // a guest that scribbles over all slots
		defer close(stopped)
		for n := uint32(0); ; n++ {
			select {
			case <-stop:
				return
			default:
				atomic.StoreUint32(f.word(offSlots+int(n%896)*4), n%256*0x01010101)
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	req := make([]byte, BlkSlot)
	for n := uint32(1); n <= 20000; n++ {
		atomic.StoreUint32(f.reqProd, n)
		if ok, err := b.Next(req); !ok || err != nil {
			t.Fatal(ok, err)
		}
		for i := 0; i < len(req); i += 4 {
			if w := binary.LittleEndian.Uint32(req[i:]); w != w%256*0x01010101 {
				t.Fatalf("request %d holds the word %#x", n, w)
			}
		}
		b.Put(make([]byte, 16))
		b.Publish()
	}
}

// FuzzBack lets the frontend write what it likes to the whole first page between
// the backend's steps. The backend must never touch memory outside the ring,
// never hang, and never hold more requests than there are slots.
func FuzzBack(f *testing.F) {
	f.Add([]byte{0, 0, 32, 0, 0, 0, 1, 2, 3}, uint8(0))
	f.Add([]byte{0, 0, 255, 255, 255, 255, 1, 1, 3}, uint8(2))
	f.Fuzz(func(t *testing.T, script []byte, kind uint8) {
		slots := []int{BlkSlot, BlkSlot32, NetTxSlot, NetRxSlot, NetCtrlSlot}
		mem := make([]byte, 4096+8)
		mem = mem[8-uintptrMod8(mem):][:4096]
		b, err := NewBack(mem, slots[int(kind)%len(slots)])
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, b.slot)
		for len(script) > 0 {
			op := script[0]
			script = script[1:]
			switch op % 4 {
			case 0: // the guest writes
				if len(script) < 5 {
					return
				}
				copy(mem[int(script[0])%61:], script[1:5])
				script = script[5:]
			case 1:
				if _, err := b.Next(buf); err != nil && !errors.Is(err, ErrRing) {
					t.Fatal(err)
				}
			case 2:
				if b.Outstanding() > 0 {
					b.Put(buf)
				}
				b.Publish()
			case 3:
				if _, err := b.Arm(uint32(op) + 1); err != nil && !errors.Is(err, ErrRing) {
					t.Fatal(err)
				}
			}
			if b.Outstanding() > b.Size() {
				t.Fatalf("%d requests outstanding with %d slots", b.Outstanding(), b.Size())
			}
		}
	})
}

func uintptrMod8(b []byte) int { return int(uintptr(unsafe.Pointer(unsafe.SliceData(b))) % 8) }
