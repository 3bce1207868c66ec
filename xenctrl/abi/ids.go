package abi

import (
	"encoding/hex"
	"fmt"
)

// DomID names a domain. Guests have 1 to 0x7FEF; the values above are special.
// Source: xen/include/public/xen.h, DOMID_*.
type DomID uint16

// The special domain ids.
const (
	DomSelf    DomID = 0x7FF0 // DOMID_SELF: the caller
	DomIO      DomID = 0x7FF1 // DOMID_IO: owner of I/O memory
	DomXen     DomID = 0x7FF2 // DOMID_XEN: owner of Xen's shared pages
	DomCOW     DomID = 0x7FF3 // DOMID_COW: owner of shared (deduplicated) pages
	DomInvalid DomID = 0x7FF4 // DOMID_INVALID: nobody
	DomAny     DomID = 0x7FF5 // DOMID_ANY: "choose one", on create; every release takes it
	DomIdle    DomID = 0x7FFF // DOMID_IDLE: Xen's idle vcpus

	DomFirstReserved DomID = 0x7FF0 // DOMID_FIRST_RESERVED: guests lie below
)

// PageShift and PageSize describe the 4 KiB page, the unit of every frame number.
const (
	PageShift = 12
	PageSize  = 1 << PageShift
)

// PFN is a page in the guest's own numbering. For PVH and HVM it equals the GFN.
type PFN uint64

// GFN is a frame number that Xen translates: an MFN for PV, a PFN for PVH and HVM.
type GFN uint64

// MFN is a machine frame.
type MFN uint64

// InvalidFrame is the frame number that stands for "none" in every numbering.
const InvalidFrame = ^uint64(0)

// Port is an event channel port in the numbering of the domain that holds it.
type Port uint32

// GrantRef names an entry of a domain's grant table.
type GrantRef uint32

// KiB is a size in units of 1024 bytes.
type KiB uint64

// Pages is a size in pages of 4 KiB.
type Pages uint64

// KiB returns the size of p pages.
func (p Pages) KiB() KiB { return KiB(p << (PageShift - 10)) }

// Pages returns how many whole pages k holds.
func (k KiB) Pages() Pages { return Pages(k >> (PageShift - 10)) }

// UUID is a domain's handle as Xen keeps it: 16 bytes in text order.
type UUID [16]byte

// String returns u in the hyphenated lower-case form that xenstore paths use.
func (u UUID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[0:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// ParseUUID reads a UUID of 32 hexadecimal digits in five groups.
func ParseUUID(s string) (u UUID, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return UUID{}, false
	}
	_, err := hex.Decode(u[:], []byte(s[:8]+s[9:13]+s[14:18]+s[19:23]+s[24:]))
	return u, err == nil
}

// IsZero reports whether u is the nil UUID.
func (u UUID) IsZero() bool { return u == UUID{} }
