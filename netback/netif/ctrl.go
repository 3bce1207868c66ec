package netif

import "encoding/binary"

// CtrlType is what a request on the control ring asks for. Source: netif.h,
// XEN_NETIF_CTRL_TYPE_*.
type CtrlType uint16

// The types.
const (
	CtrlGetHashFlags       CtrlType = 1
	CtrlSetHashFlags       CtrlType = 2
	CtrlSetHashKey         CtrlType = 3
	CtrlGetHashMappingSize CtrlType = 4
	CtrlSetHashMappingSize CtrlType = 5
	CtrlSetHashMapping     CtrlType = 6
	CtrlSetHashAlgorithm   CtrlType = 7
	CtrlGetGrefMappingSize CtrlType = 8
	CtrlAddGrefMapping     CtrlType = 9
	CtrlDelGrefMapping     CtrlType = 10
)

// CtrlStatus is the status of a response on the control ring. Source: netif.h,
// XEN_NETIF_CTRL_STATUS_*.
type CtrlStatus uint32

// The statuses.
const (
	CtrlSuccess          CtrlStatus = 0
	CtrlNotSupported     CtrlStatus = 1
	CtrlInvalidParameter CtrlStatus = 2
	CtrlBufferOverflow   CtrlStatus = 3
)

// HashAlgorithm is how packets are hashed. Source: netif.h,
// XEN_NETIF_CTRL_HASH_ALGORITHM_*.
type HashAlgorithm uint8

// The algorithms.
const (
	HashNone     HashAlgorithm = 0
	HashToeplitz HashAlgorithm = 1
)

// HashTypes is a set of header parts that a hash can cover. Source: netif.h,
// XEN_NETIF_CTRL_HASH_TYPE_*.
type HashTypes uint32

// The types.
const (
	HashIPv4    HashTypes = 1 << 0
	HashIPv4TCP HashTypes = 1 << 1
	HashIPv6    HashTypes = 1 << 2
	HashIPv6TCP HashTypes = 1 << 3
)

// CtrlRequest is a request on the control ring. Source: netif.h, struct
// xen_netif_ctrl_request.
type CtrlRequest struct {
	ID   uint16
	Type CtrlType
	Data [3]uint32 // by type
}

// ParseCtrlRequest reads a request from a slot.
func ParseCtrlRequest(b []byte) CtrlRequest {
	_ = b[CtrlSlotSize-1]
	r := CtrlRequest{ID: binary.LittleEndian.Uint16(b), Type: CtrlType(binary.LittleEndian.Uint16(b[2:]))}
	for i := range r.Data {
		r.Data[i] = binary.LittleEndian.Uint32(b[4+4*i:])
	}
	return r
}

// Put writes r to a slot, as a frontend does.
func (r CtrlRequest) Put(b []byte) {
	_ = b[CtrlSlotSize-1]
	binary.LittleEndian.PutUint16(b, r.ID)
	binary.LittleEndian.PutUint16(b[2:], uint16(r.Type))
	for i, d := range r.Data {
		binary.LittleEndian.PutUint32(b[4+4*i:], d)
	}
}

// CtrlResponse answers a request on the control ring. Source: netif.h, struct
// xen_netif_ctrl_response.
type CtrlResponse struct {
	ID     uint16
	Type   CtrlType // of the request
	Status CtrlStatus
	Data   uint32 // by type
}

const ctrlResponseSize = 12

// ParseCtrlResponse reads a response from a slot.
func ParseCtrlResponse(b []byte) CtrlResponse {
	_ = b[ctrlResponseSize-1]
	return CtrlResponse{
		ID: binary.LittleEndian.Uint16(b), Type: CtrlType(binary.LittleEndian.Uint16(b[2:])),
		Status: CtrlStatus(binary.LittleEndian.Uint32(b[4:])), Data: binary.LittleEndian.Uint32(b[8:]),
	}
}

// Put writes r to a slot and clears the rest of it.
func (r CtrlResponse) Put(b []byte) {
	clear(b[:CtrlSlotSize])
	binary.LittleEndian.PutUint16(b, r.ID)
	binary.LittleEndian.PutUint16(b[2:], uint16(r.Type))
	binary.LittleEndian.PutUint32(b[4:], uint32(r.Status))
	binary.LittleEndian.PutUint32(b[8:], r.Data)
}
