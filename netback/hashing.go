package netback

import (
	"encoding/binary"
	"errors"
	"slices"

	"goxl/netback/netif"
	"goxl/netback/packet"
	"goxl/xenctrl/abi"
)

// Limits of what a guest may set. They are those of the kernel's backend.
const (
	maxHashMapping = 128
	allHashTypes   = netif.HashIPv4 | netif.HashIPv4TCP | netif.HashIPv6 | netif.HashIPv6TCP
)

// hashing is how the frames for a guest are hashed, and which queue each hash goes to.
// A value does not change: a request makes another one. The zero value is what a guest
// has that never asked.
type hashing struct {
	algorithm netif.HashAlgorithm
	types     netif.HashTypes
	key       [packet.MaxHashKey]byte
	mapping   []uint8 // queues, by hash modulo its length; empty: the hash modulo the queues

	toeplitz *packet.Toeplitz // of key; nil is the empty key
}

// active reports whether there is anything to hash.
func (h *hashing) active() bool { return h.algorithm != netif.HashNone && h.types != 0 }

// queue returns which of n queues a frame belongs to, and its hash if it has one. One
// without goes where the hash 0 does, as with the kernel's backend.
func (h *hashing) queue(f []byte, n int) (queue int, hash packet.Hash, ok bool) {
	if hash, ok = h.toeplitz.Frame(f, h.types); !ok {
		hash.Value = 0
	}
	if m := uint32(len(h.mapping)); m > 0 {
		return int(h.mapping[hash.Value%m]), hash, ok
	}
	return int(hash.Value % uint32(n)), hash, ok
}

// fetcher copies n bytes, a page at most, from the start of a page that the guest
// granted. What it returns is valid until the next call. It reports false when the
// guest did not grant the page.
type fetcher func(ref abi.GrantRef, n int) ([]byte, bool, error)

// answer does what a request asks for, of a guest with so many queues. It returns what
// holds from now on, and the answer. The error is not the guest's fault.
func (h *hashing) answer(req netif.CtrlRequest, queues int, fetch fetcher) (*hashing, netif.CtrlResponse, error) {
	rsp := netif.CtrlResponse{ID: req.ID, Type: req.Type, Status: netif.CtrlSuccess}
	next := *h
	var err error
	switch req.Type {
	case netif.CtrlSetHashAlgorithm:
		rsp.Status = next.setAlgorithm(req.Data[0])
	case netif.CtrlGetHashFlags:
		if rsp.Data = uint32(allHashTypes); h.algorithm == netif.HashNone {
			rsp.Data, rsp.Status = 0, netif.CtrlNotSupported
		}
	case netif.CtrlSetHashFlags:
		rsp.Status = next.setTypes(netif.HashTypes(req.Data[0]))
	case netif.CtrlSetHashKey:
		rsp.Status, err = next.setKey(abi.GrantRef(req.Data[0]), req.Data[1], fetch)
	case netif.CtrlGetHashMappingSize:
		rsp.Data = maxHashMapping
	case netif.CtrlSetHashMappingSize:
		if req.Data[0] > maxHashMapping {
			rsp.Status = netif.CtrlInvalidParameter
			break
		}
		next.mapping = make([]uint8, req.Data[0])
	case netif.CtrlSetHashMapping:
		rsp.Status, err = next.setMapping(abi.GrantRef(req.Data[0]), req.Data[1], req.Data[2], queues, fetch)
	default:
		rsp.Status = netif.CtrlNotSupported
	}
	if rsp.Status != netif.CtrlSuccess || err != nil {
		return h, rsp, err
	}
	return &next, rsp, nil
}

func (h *hashing) setAlgorithm(a uint32) netif.CtrlStatus {
	if a != uint32(netif.HashNone) && a != uint32(netif.HashToeplitz) {
		return netif.CtrlInvalidParameter
	}
	h.algorithm = netif.HashAlgorithm(a)
	return netif.CtrlSuccess
}

func (h *hashing) setTypes(t netif.HashTypes) netif.CtrlStatus {
	if t&^allHashTypes != 0 || h.algorithm == netif.HashNone {
		return netif.CtrlInvalidParameter
	}
	h.types = t
	return netif.CtrlSuccess
}

// setKey takes another key. What it is shorter than the longest counts as zero.
func (h *hashing) setKey(ref abi.GrantRef, n uint32, fetch fetcher) (netif.CtrlStatus, error) {
	if n > packet.MaxHashKey {
		return netif.CtrlBufferOverflow, nil
	}
	h.key = [packet.MaxHashKey]byte{}
	if n > 0 {
		b, ok, err := fetch(ref, int(n))
		if err != nil || !ok {
			return netif.CtrlInvalidParameter, err
		}
		copy(h.key[:], b)
	}
	h.toeplitz = packet.NewToeplitz(h.key[:])
	return netif.CtrlSuccess, nil
}

// setMapping changes n entries of the mapping, from number at on.
func (h *hashing) setMapping(ref abi.GrantRef, n, at uint32, queues int, fetch fetcher) (netif.CtrlStatus, error) {
	const entry = 4 // bytes
	switch {
	case n > maxHashMapping:
		return netif.CtrlBufferOverflow, nil
	case uint64(at)+uint64(n) > uint64(len(h.mapping)):
		return netif.CtrlInvalidParameter, nil
	case n == 0:
		return netif.CtrlSuccess, nil
	}
	b, ok, err := fetch(ref, int(n)*entry)
	if err != nil || !ok {
		return netif.CtrlInvalidParameter, err
	}
	mapping := slices.Clone(h.mapping)
	for i := range n {
		q := binary.LittleEndian.Uint32(b[i*entry:])
		if q >= uint32(queues) {
			return netif.CtrlInvalidParameter, nil
		}
		mapping[at+i] = uint8(q)
	}
	h.mapping = mapping
	return netif.CtrlSuccess, nil
}

// hashingSize is how many bytes a hashing is in a journal: algorithm, length of the
// mapping, padding, types, key, mapping.
const hashingSize = 8 + packet.MaxHashKey + maxHashMapping

// put writes h to hashingSize bytes.
func (h *hashing) put(b []byte) {
	clear(b[:hashingSize])
	b[0], b[1] = uint8(h.algorithm), uint8(len(h.mapping))
	binary.LittleEndian.PutUint32(b[4:], uint32(h.types))
	copy(b[8:], h.key[:])
	copy(b[8+packet.MaxHashKey:], h.mapping)
}

var errHashing = errors.New("the hash settings in the journal are none of a guest with so many queues")

// parseHashing reads what put wrote, for a guest with so many queues.
func parseHashing(b []byte, queues int) (*hashing, error) {
	h := &hashing{algorithm: netif.HashAlgorithm(b[0]), types: netif.HashTypes(binary.LittleEndian.Uint32(b[4:]))}
	n := int(b[1])
	if h.algorithm > netif.HashToeplitz || h.types&^allHashTypes != 0 || n > maxHashMapping {
		return nil, errHashing
	}
	copy(h.key[:], b[8:])
	h.mapping = slices.Clone(b[8+packet.MaxHashKey:][:n])
	for _, q := range h.mapping {
		if int(q) >= queues {
			return nil, errHashing
		}
	}
	h.toeplitz = packet.NewToeplitz(h.key[:])
	return h, nil
}
