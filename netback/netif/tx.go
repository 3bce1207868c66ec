package netif

import (
	"encoding/binary"

	"goxl/xenctrl/abi"
)

// Sizes of a ring's slots in bytes. A slot holds a request or its response.
const (
	TxSlotSize   = 12
	RxSlotSize   = 8
	CtrlSlotSize = 16
)

// Limits of a packet that a guest transmits.
const (
	MaxPacket = 0xFFFF // XEN_NETIF_MAX_TX_SIZE: bytes
	MinSlots  = 18     // XEN_NETIF_NR_SLOTS_MIN: every backend takes so many slots
)

// TxFlags are the flags of a transmit request. Source: netif.h, NETTXF_*.
type TxFlags uint16

// The flags.
const (
	TxChecksumBlank TxFlags = 1 << 0 // the transport checksum covers the pseudo header only
	TxDataValidated TxFlags = 1 << 1
	TxMoreData      TxFlags = 1 << 2 // the packet goes on in the next request
	TxExtraInfo     TxFlags = 1 << 3 // an extra info follows in the next slot
)

// TxRequest is one piece of a packet that the guest sends. Source: netif.h,
// struct netif_tx_request.
type TxRequest struct {
	Ref    abi.GrantRef // of the page with the data, readable
	Offset uint16       // within the page
	Flags  TxFlags
	ID     uint16 // the response carries it back
	Size   uint16 // bytes: of this piece, in the first request of the whole packet
}

// ParseTxRequest reads a request from a slot.
func ParseTxRequest(b []byte) TxRequest {
	_ = b[TxSlotSize-1]
	return TxRequest{
		Ref:    abi.GrantRef(binary.LittleEndian.Uint32(b)),
		Offset: binary.LittleEndian.Uint16(b[4:]),
		Flags:  TxFlags(binary.LittleEndian.Uint16(b[6:])),
		ID:     binary.LittleEndian.Uint16(b[8:]),
		Size:   binary.LittleEndian.Uint16(b[10:]),
	}
}

// Put writes r to a slot, as a frontend does.
func (r TxRequest) Put(b []byte) {
	_ = b[TxSlotSize-1]
	binary.LittleEndian.PutUint32(b, uint32(r.Ref))
	binary.LittleEndian.PutUint16(b[4:], r.Offset)
	binary.LittleEndian.PutUint16(b[6:], uint16(r.Flags))
	binary.LittleEndian.PutUint16(b[8:], r.ID)
	binary.LittleEndian.PutUint16(b[10:], r.Size)
}

// Status is a response's status; in the receive ring one of zero and more is a
// number of bytes. Source: netif.h, NETIF_RSP_*.
type Status int16

// The statuses.
const (
	StatusDropped Status = -2 // the packet was not sent, and not because of the guest
	StatusError   Status = -1
	StatusOK      Status = 0
	StatusNull    Status = 1 // transmit only: answers an extra info, says nothing
)

// TxResponse answers one slot of the transmit ring. Source: netif.h, struct
// netif_tx_response.
type TxResponse struct {
	ID     uint16
	Status Status
}

// ParseTxResponse reads a response from a slot.
func ParseTxResponse(b []byte) TxResponse {
	return TxResponse{binary.LittleEndian.Uint16(b), Status(binary.LittleEndian.Uint16(b[2:]))}
}

// Put writes r to a slot and clears the rest of it, so that the guest reads
// nothing that was not meant for it.
func (r TxResponse) Put(b []byte) {
	clear(b[:TxSlotSize])
	binary.LittleEndian.PutUint16(b, r.ID)
	binary.LittleEndian.PutUint16(b[2:], uint16(r.Status))
}
