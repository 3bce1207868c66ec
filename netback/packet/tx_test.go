package packet

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"goxl/netback/netif"
	"goxl/xenctrl/abi"
)

// slots is a transmit ring that holds what was put into it.
type slots [][netif.TxSlotSize]byte

func (s *slots) Next(req []byte) (bool, error) {
	if len(*s) == 0 {
		return false, nil
	}
	copy(req, (*s)[0][:])
	*s = (*s)[1:]
	return true, nil
}

func (s *slots) req(ref, offset int, flags netif.TxFlags, id, size int) {
	var b [netif.TxSlotSize]byte
	netif.TxRequest{Ref: abi.GrantRef(ref), Offset: uint16(offset), Flags: flags, ID: uint16(id), Size: uint16(size)}.Put(b[:])
	*s = append(*s, b)
}

func (s *slots) extra(e netif.Extra) {
	var b [netif.TxSlotSize]byte
	e.Put(b[:])
	*s = append(*s, b)
}

const more = netif.TxMoreData

func gso(t netif.GSOType, size int) netif.Extra {
	return netif.Extra{Type: netif.ExtraGSO, GSO: t, SegmentSize: uint16(size)}
}

func TestTxMisbehaviour(t *testing.T) {
	many := func(n int) func(*slots) {
		return func(s *slots) {
			s.req(1, 0, more, 0, 1000)
			for i := 1; i < n; i++ {
				f := more
				if i == n-1 {
					f = 0
				}
				s.req(1, 0, f, i, 1)
			}
		}
	}
	for _, tt := range []struct {
		name string
		fill func(*slots)
		drop error
		dead bool
		took int // slots owed a response
	}{
		{"one page", func(s *slots) { s.req(7, 96, 0, 3, 4000) }, nil, false, 1},
		{"empty packet", func(s *slots) { s.req(7, 0, 0, 3, 0) }, errTiny, false, 1},
		{"13 bytes", func(s *slots) { s.req(7, 0, 0, 3, 13) }, errTiny, false, 1},
		{"first piece crosses its page", func(s *slots) { s.req(7, 4090, 0, 3, 60) }, nil, true, 0},
		{"second piece crosses its page", func(s *slots) { s.req(7, 0, more, 3, 600); s.req(7, 4090, 0, 4, 7) }, nil, true, 0},
		{"offset of 65535", func(s *slots) { s.req(7, 65535, 0, 3, 60) }, nil, true, 0},
		{"total in one page too small", func(s *slots) { s.req(7, 0, 0, 3, 60000) }, nil, true, 0},
		{"rest never sent", func(s *slots) { s.req(7, 0, more, 3, 60) }, nil, true, 0},
		{"pieces larger than the whole", func(s *slots) { s.req(7, 0, more, 3, 60); s.req(7, 0, 0, 4, 61) }, errSizes, false, 2},
		{"first piece empty", func(s *slots) { s.req(7, 0, more, 3, 60); s.req(7, 0, 0, 4, 60) }, nil, false, 2},
		{"middle piece empty", func(s *slots) { s.req(7, 0, more, 3, 60); s.req(7, 0, more, 4, 0); s.req(7, 0, 0, 5, 30) }, nil, false, 3},
		{"header over three pieces", func(s *slots) { s.req(7, 0, more, 3, 60); s.req(7, 0, more, 4, 6); s.req(7, 0, 0, 5, 50) }, nil, false, 3},
		{"18 slots", many(18), nil, false, 18},
		{"19 slots", many(19), nil, false, 19},
		{"20 slots", many(20), errTooManySlots, false, 20},
		{"21 slots", many(21), errTooManySlots, false, 21},
		{"22 slots", many(22), nil, true, 0},
		{"200 slots", many(200), nil, true, 0},
		{"extra info not sent", func(s *slots) { s.req(7, 0, netif.TxExtraInfo, 3, 60) }, nil, true, 0},
		{"extra info of type 0", func(s *slots) { s.req(7, 0, netif.TxExtraInfo, 3, 60); s.extra(netif.Extra{}) }, nil, true, 0},
		{"extra info of type 5", func(s *slots) { s.req(7, 0, netif.TxExtraInfo, 3, 60); s.extra(netif.Extra{Type: 5}) }, nil, true, 0},
		{"extra infos without end", func(s *slots) {
			s.req(7, 0, netif.TxExtraInfo, 3, 60)
			for range 100 {
				s.extra(netif.Extra{Type: netif.ExtraHash, More: true})
			}
		}, nil, true, 0},
		{"segments of size zero", func(s *slots) { s.req(7, 0, netif.TxExtraInfo, 3, 60); s.extra(gso(netif.GSOTCPv4, 0)) }, errGSO, false, 2},
		{"segments of unknown kind", func(s *slots) { s.req(7, 0, netif.TxExtraInfo, 3, 60); s.extra(gso(3, 1448)) }, errGSO, false, 2},
		{"segments of kind none", func(s *slots) { s.req(7, 0, netif.TxExtraInfo, 3, 60); s.extra(gso(0, 1448)) }, errGSO, false, 2},
		{"multicast, and more data", func(s *slots) {
			s.req(7, 0, netif.TxExtraInfo|more, 3, 0)
			s.extra(netif.Extra{Type: netif.ExtraMcastAdd})
		}, nil, false, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s slots
			tt.fill(&s)
			var p Tx
			ok, err := p.Read(&s)
			if tt.dead {
				if !errors.Is(err, ErrProtocol) {
					t.Fatalf("Read() = %v, %v; want ErrProtocol", ok, err)
				}
				return
			}
			if err != nil || !ok || p.Drop != tt.drop || p.Slots() != tt.took || len(s) != 0 {
				t.Fatalf("Read() = %v, %v, drop %v, %d slots, %d left", ok, err, p.Drop, p.Slots(), len(s))
			}
			checkPieces(t, &p)
		})
	}
}

// checkPieces holds what the copier relies on.
func checkPieces(t interface{ Errorf(string, ...any) }, p *Tx) {
	total := 0
	for _, piece := range p.Pieces() {
		if int(piece.Offset)+int(piece.Len) > abi.PageSize {
			t.Errorf("piece %+v crosses its page", piece)
		}
		total += int(piece.Len)
	}
	if p.Drop == nil && p.Mcast == 0 && (total != p.Size || p.Size < ethHeader || p.Size > netif.MaxPacket) {
		t.Errorf("pieces of %d bytes make a frame of %d", total, p.Size)
	}
	if (p.Drop != nil || p.Mcast != 0) && total != 0 {
		t.Errorf("a dropped packet has pieces to copy: %+v", p.Pieces())
	}
}

// TestTxCutsAnyhow sends frames cut into pieces in every way and puts them together.
func TestTxCutsAnyhow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lens := rapid.SliceOfN(rapid.IntRange(0, 3600), 1, maxPieces).Draw(t, "pieces")
		lens[0] += 14
		extras := rapid.IntRange(0, 2).Draw(t, "extras")
		page, frame := map[abi.GrantRef][]byte{}, []byte(nil)
		total := 0
		for _, n := range lens {
			total += n
		}
		if total > netif.MaxPacket {
			t.Skip()
		}
		var s slots
		for i, n := range lens {
			ref, offset, size := abi.GrantRef(100+i), rapid.IntRange(0, abi.PageSize-n).Draw(t, "offset"), n
			data := bytes.Repeat([]byte{byte(i + 1)}, n)
			page[ref] = append(make([]byte, offset), data...)
			frame = append(frame, data...)
			var f netif.TxFlags
			if i+1 < len(lens) {
				f |= more
			}
			if i == 0 {
				size = total
				if extras > 0 {
					f |= netif.TxExtraInfo
				}
			}
			s.req(int(ref), offset, f, i, size)
			for x := range extras {
				if i == 0 {
					e := gso(netif.GSOTCPv4, 1400)
					e.More = x+1 < extras
					s.extra(e)
				}
			}
		}
		s.req(9, 9, 0, 999, 99) // the next packet
		var p Tx
		if ok, err := p.Read(&s); err != nil || !ok || p.Drop != nil {
			t.Fatalf("Read() = %v, %v, %v", ok, err, p.Drop)
		}
		var got []byte
		for i, piece := range p.Pieces() {
			if int(piece.ID) != i {
				t.Errorf("piece %d has id %d", i, piece.ID)
			}
			got = append(got, page[piece.Ref][piece.Offset:][:piece.Len]...)
		}
		if !bytes.Equal(got, frame) || p.Extras != extras || len(s) != 1 {
			t.Errorf("%d bytes, want %d; %d extras; %d slots left", len(got), len(frame), p.Extras, len(s))
		}
		checkPieces(t, &p)
	})
}

// FuzzTx reads rings full of anything: no panic, no piece outside its page.
func FuzzTx(f *testing.F) {
	var s slots
	s.req(7, 0, more|netif.TxExtraInfo, 3, 60)
	s.extra(gso(netif.GSOTCPv6, 1400))
	s.req(7, 4090, 0, 4, 6)
	f.Add(bytes.Join([][]byte{s[0][:], s[1][:], s[2][:]}, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s slots
		for len(b) >= netif.TxSlotSize {
			s = append(s, [netif.TxSlotSize]byte(b))
			b = b[netif.TxSlotSize:]
		}
		var p Tx
		for {
			before := len(s)
			ok, err := p.Read(&s)
			if err != nil {
				if !errors.Is(err, ErrProtocol) {
					t.Errorf("Read() = %v", err)
				}
				return
			}
			if !ok {
				return
			}
			if p.Slots() != before-len(s) {
				t.Errorf("took %d slots, counts %d", before-len(s), p.Slots())
			}
			checkPieces(t, &p)
		}
	})
}
