//go:build linux

package netback

import (
	"encoding/binary"
	"errors"
	"reflect"
	"testing"

	"goxl/netback/netif"
	"goxl/netback/packet"
	"goxl/xenctrl/abi"
)

// guestPage is a fetcher of one page, number 5.
func guestPage(page []byte) fetcher {
	return func(ref abi.GrantRef, n int) ([]byte, bool, error) {
		if n < 1 || n > abi.PageSize {
			panic("fetches what is no part of a page")
		}
		return append(make([]byte, 0, n), page[:n]...), ref == 5, nil
	}
}

func request(typ netif.CtrlType, data ...uint32) netif.CtrlRequest {
	r := netif.CtrlRequest{ID: 0x4711, Type: typ}
	copy(r.Data[:], data)
	return r
}

// table is a page with entries of a mapping.
func table(entries ...uint32) []byte {
	b := make([]byte, abi.PageSize)
	for i, e := range entries {
		binary.LittleEndian.PutUint32(b[4*i:], e)
	}
	return b
}

// TestCtrlRequests asks one thing after the other, as one guest with four queues does.
func TestCtrlRequests(t *testing.T) {
	const all = uint32(allHashTypes)
	h := &hashing{}
	for _, tt := range []struct {
		name   string
		req    netif.CtrlRequest
		page   []byte
		status netif.CtrlStatus
		data   uint32
	}{
		{"flags before an algorithm", request(netif.CtrlGetHashFlags), nil, netif.CtrlNotSupported, 0},
		{"set flags before an algorithm", request(netif.CtrlSetHashFlags, 1), nil, netif.CtrlInvalidParameter, 0},
		{"unknown algorithm", request(netif.CtrlSetHashAlgorithm, 2), nil, netif.CtrlInvalidParameter, 0},
		{"algorithm of more than 8 bits", request(netif.CtrlSetHashAlgorithm, 257), nil, netif.CtrlInvalidParameter, 0},
		{"Toeplitz", request(netif.CtrlSetHashAlgorithm, 1), nil, netif.CtrlSuccess, 0},
		{"flags", request(netif.CtrlGetHashFlags), nil, netif.CtrlSuccess, all},
		{"set all flags", request(netif.CtrlSetHashFlags, all), nil, netif.CtrlSuccess, 0},
		{"set unknown flags", request(netif.CtrlSetHashFlags, all+1), nil, netif.CtrlInvalidParameter, 0},
		{"key", request(netif.CtrlSetHashKey, 5, 40), table(0x01020304), netif.CtrlSuccess, 0},
		{"key too long", request(netif.CtrlSetHashKey, 5, 41), nil, netif.CtrlBufferOverflow, 0},
		{"key of nearly all memory", request(netif.CtrlSetHashKey, 5, 1<<32-1), nil, netif.CtrlBufferOverflow, 0},
		{"key in a page that is not granted", request(netif.CtrlSetHashKey, 6, 40), table(), netif.CtrlInvalidParameter, 0},
		{"mapping before its size", request(netif.CtrlSetHashMapping, 5, 1, 0), table(), netif.CtrlInvalidParameter, 0},
		{"largest mapping", request(netif.CtrlGetHashMappingSize), nil, netif.CtrlSuccess, 128},
		{"mapping size too large", request(netif.CtrlSetHashMappingSize, 129), nil, netif.CtrlInvalidParameter, 0},
		{"mapping size", request(netif.CtrlSetHashMappingSize, 6), nil, netif.CtrlSuccess, 0},
		{"mapping", request(netif.CtrlSetHashMapping, 5, 4, 2), table(3, 2, 1, 0), netif.CtrlSuccess, 0},
		{"no entries", request(netif.CtrlSetHashMapping, 6, 0, 6), nil, netif.CtrlSuccess, 0},
		{"mapping beyond its size", request(netif.CtrlSetHashMapping, 5, 4, 3), table(), netif.CtrlInvalidParameter, 0},
		{"mapping whose end overflows", request(netif.CtrlSetHashMapping, 5, 4, 1<<32-2), table(), netif.CtrlInvalidParameter, 0},
		{"mapping larger than any", request(netif.CtrlSetHashMapping, 5, 1<<30, 0), nil, netif.CtrlBufferOverflow, 0},
		{"mapping to a queue too many", request(netif.CtrlSetHashMapping, 5, 3, 0), table(0, 0, 4), netif.CtrlInvalidParameter, 0},
		{"mapping in a page that is not granted", request(netif.CtrlSetHashMapping, 6, 1, 0), table(), netif.CtrlInvalidParameter, 0},
		{"gref mapping size", request(netif.CtrlGetGrefMappingSize), nil, netif.CtrlNotSupported, 0},
		{"add grefs", request(netif.CtrlAddGrefMapping, 0, 5, 1), nil, netif.CtrlNotSupported, 0},
		{"del grefs", request(netif.CtrlDelGrefMapping, 0, 5, 1), nil, netif.CtrlNotSupported, 0},
		{"type zero", request(0), nil, netif.CtrlNotSupported, 0},
		{"type of the future", request(0xffff), nil, netif.CtrlNotSupported, 0},
	} {
		next, rsp, err := h.answer(tt.req, 4, guestPage(tt.page))
		if want := (netif.CtrlResponse{ID: 0x4711, Type: tt.req.Type, Status: tt.status, Data: tt.data}); err != nil || rsp != want {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, rsp, err, want)
		}
		if rsp.Status != netif.CtrlSuccess && next != h {
			t.Errorf("%s changes something", tt.name)
		}
		h = next
	}
	want := &hashing{algorithm: netif.HashToeplitz, types: allHashTypes, key: [40]byte{4, 3, 2, 1}, mapping: []uint8{0, 0, 3, 2, 1, 0}}
	want.toeplitz = packet.NewToeplitz(want.key[:])
	if !reflect.DeepEqual(h, want) {
		t.Errorf("in the end: %+v, want %+v", h, want)
	}
	for _, req := range []netif.CtrlRequest{request(netif.CtrlSetHashKey, 99, 0), request(netif.CtrlSetHashMappingSize, 0), request(netif.CtrlSetHashAlgorithm, 0)} {
		h, _, _ = h.answer(req, 4, nil)
	}
	if h.active() || h.key != [40]byte{} || len(h.mapping) > 0 {
		t.Errorf("all taken back, and there is %+v", h)
	}
}

func TestCtrlFetchFails(t *testing.T) {
	broken := errors.New("the device is gone")
	fetch := func(abi.GrantRef, int) ([]byte, bool, error) { return nil, false, broken }
	h := &hashing{mapping: make([]uint8, 8)}
	for _, req := range []netif.CtrlRequest{request(netif.CtrlSetHashKey, 5, 1), request(netif.CtrlSetHashMapping, 5, 1, 0)} {
		if next, _, err := h.answer(req, 4, fetch); !errors.Is(err, broken) || next != h {
			t.Errorf("%+v: %v", req, err)
		}
	}
}

func TestHashedQueues(t *testing.T) {
	h := &hashing{algorithm: netif.HashToeplitz, types: netif.HashIPv4TCP, mapping: []uint8{2, 3}}
	for i := range h.key {
		h.key[i] = byte(37 * i)
	}
	h.toeplitz = packet.NewToeplitz(h.key[:])
	seen := map[int]int{}
	for port := range 64 {
		f := tcpFrame(60)
		binary.BigEndian.PutUint16(f[34:], uint16(port))
		q, hash, ok := h.queue(f, 4)
		if want := int(h.mapping[hash.Value%2]); !ok || q != want {
			t.Fatalf("port %d: queue %d, want %d", port, q, want)
		}
		seen[q]++
	}
	if seen[2] < 10 || seen[3] < 10 || len(seen) != 2 {
		t.Errorf("64 flows went to %v", seen)
	}
	if q, _, ok := h.queue(ethFrame(60, 1), 4); q != 2 || ok {
		t.Errorf("what has no hash goes to queue %d, %v", q, ok)
	}
	h.mapping = nil
	if q, hash, _ := h.queue(tcpFrame(60), 3); q != int(hash.Value%3) {
		t.Errorf("without a mapping, hash %#x goes to queue %d", hash.Value, q)
	}
}

// TestHashingInJournal holds that settings come back as they were, and that those of
// another guest do not.
func TestHashingInJournal(t *testing.T) {
	j := newCtrlJournal(make([]byte, vifJournalSize))
	if h, err := j.hashing(1); err != nil || h.active() || len(h.mapping) > 0 {
		t.Errorf("an empty journal: %+v, %v", h, err)
	}
	for n := range 3 {
		h := &hashing{algorithm: netif.HashToeplitz, types: allHashTypes, key: [40]byte{byte(n), 39: 9}, mapping: make([]uint8, maxHashMapping-n)}
		h.mapping[5], h.toeplitz = 3, packet.NewToeplitz(h.key[:])
		j.keep(h)
		if got, err := j.hashing(4); err != nil || !reflect.DeepEqual(got, h) {
			t.Errorf("kept %+v, have %+v, %v", h, got, err)
		}
		if _, err := j.hashing(3); !errors.Is(err, errHashing) {
			t.Errorf("settings of a guest with four queues for one with three: %v", err)
		}
	}
	for at, v := range map[int]byte{0: 2, 1: 129, 5: 1} {
		b := make([]byte, hashingSize)
		b[at] = v
		if _, err := parseHashing(b, 16); !errors.Is(err, errHashing) {
			t.Errorf("byte %d is %d: %v", at, v, err)
		}
	}
	rsp := netif.CtrlResponse{ID: 3, Type: 7, Status: 1, Data: 9}
	j.note(1<<32-1, rsp)
	if got, ok := j.lost(1<<32 - 1); !ok || got != rsp {
		t.Errorf("the answer is %+v, %v", got, ok)
	}
	for _, at := range []uint32{0, 1, 1<<32 - 2} {
		if _, ok := j.lost(at); ok {
			t.Errorf("an answer is lost at %d", at)
		}
	}
}

// FuzzCtrlRequest has a guest ask for anything twice: what holds then is within the
// bounds, and survives the journal.
func FuzzCtrlRequest(f *testing.F) {
	for typ := range netif.CtrlType(11) {
		var b [2 * netif.CtrlSlotSize]byte
		request(netif.CtrlSetHashMappingSize, 100).Put(b[:])
		request(typ, 5, 12, 2).Put(b[netif.CtrlSlotSize:])
		f.Add(b[:], []byte{1, 0, 0, 0, 200})
	}
	f.Fuzz(func(t *testing.T, slots, page []byte) {
		page = append(page, make([]byte, abi.PageSize)...)[:abi.PageSize]
		slots = append(slots, make([]byte, 2*netif.CtrlSlotSize)...)
		const queues = 3
		h := &hashing{}
		for i := range 2 {
			req := netif.ParseCtrlRequest(slots[i*netif.CtrlSlotSize:])
			next, rsp, err := h.answer(req, queues, guestPage(page))
			if err != nil || rsp.ID != req.ID || rsp.Type != req.Type || rsp.Status > netif.CtrlBufferOverflow {
				t.Fatalf("%+v is answered with %+v, %v", req, rsp, err)
			}
			h = next
		}
		var b [hashingSize]byte
		h.put(b[:])
		back, err := parseHashing(b[:], queues)
		if err != nil {
			t.Fatal(err)
		}
		if q, _, _ := back.queue(tcpFrame(60), queues); q < 0 || q >= queues {
			t.Errorf("queue %d of %d", q, queues)
		}
		if back.algorithm != h.algorithm || back.types != h.types || back.key != h.key || string(back.mapping) != string(h.mapping) {
			t.Errorf("%+v comes back as %+v", h, back)
		}
	})
}
