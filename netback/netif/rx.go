package netif

import (
	"encoding/binary"

	"goxl/xenctrl/abi"
)

// RxFlags are the flags of a receive response. Source: netif.h, NETRXF_*. Note
// that the first two are the other way round than in TxFlags.
type RxFlags uint16

// The flags.
const (
	RxDataValidated RxFlags = 1 << 0
	RxChecksumBlank RxFlags = 1 << 1
	RxMoreData      RxFlags = 1 << 2
	RxExtraInfo     RxFlags = 1 << 3
	RxGSOPrefix     RxFlags = 1 << 4 // of old frontends; this backend never sets it
)

// RxRequest is a page that the guest lends for a piece of a packet. Source:
// netif.h, struct netif_rx_request.
type RxRequest struct {
	ID  uint16
	Ref abi.GrantRef // of the page, writable
}

// ParseRxRequest reads a request from a slot.
func ParseRxRequest(b []byte) RxRequest {
	_ = b[RxSlotSize-1]
	return RxRequest{binary.LittleEndian.Uint16(b), abi.GrantRef(binary.LittleEndian.Uint32(b[4:]))}
}

// Put writes r to a slot, as a frontend does.
func (r RxRequest) Put(b []byte) {
	_ = b[RxSlotSize-1]
	binary.LittleEndian.PutUint16(b, r.ID)
	binary.LittleEndian.PutUint16(b[2:], 0)
	binary.LittleEndian.PutUint32(b[4:], uint32(r.Ref))
}

// RxResponse says what a page holds now. A response must stand in the very slot
// of its request: frontends look there and not at the id. Source: netif.h, struct
// netif_rx_response.
type RxResponse struct {
	ID     uint16
	Offset uint16 // of the data within the page
	Flags  RxFlags
	Status Status // bytes, or what went wrong
}

// ParseRxResponse reads a response from a slot.
func ParseRxResponse(b []byte) RxResponse {
	_ = b[RxSlotSize-1]
	return RxResponse{
		ID:     binary.LittleEndian.Uint16(b),
		Offset: binary.LittleEndian.Uint16(b[2:]),
		Flags:  RxFlags(binary.LittleEndian.Uint16(b[4:])),
		Status: Status(binary.LittleEndian.Uint16(b[6:])),
	}
}

// Put writes r to a slot.
func (r RxResponse) Put(b []byte) {
	_ = b[RxSlotSize-1]
	binary.LittleEndian.PutUint16(b, r.ID)
	binary.LittleEndian.PutUint16(b[2:], r.Offset)
	binary.LittleEndian.PutUint16(b[4:], uint16(r.Flags))
	binary.LittleEndian.PutUint16(b[6:], uint16(r.Status))
}
