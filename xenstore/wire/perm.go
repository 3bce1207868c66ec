package wire

import (
	"fmt"
	"strconv"

	"goxl/xenctrl/abi"
)

// Access is what a permission entry allows.
type Access uint8

// The accesses. For the first entry of a list they are what every domain not
// named later may do; its domain owns the node and may do everything.
const (
	None  Access = 0
	Read  Access = 1 // XS_PERM_READ
	Write Access = 2 // XS_PERM_WRITE
	Both  Access = Read | Write
)

const accessLetters = "nrwb"

// Perm is one entry of a node's permission list. The first names the owner.
type Perm struct {
	Access Access
	Dom    abi.DomID
}

// String returns p as the protocol spells it: "r5".
func (p Perm) String() string { return string(p.Append(nil)) }

// Append appends the text of p.
func (p Perm) Append(b []byte) []byte {
	b = append(b, accessLetters[p.Access&Both])
	return strconv.AppendUint(b, uint64(p.Dom), 10)
}

// ParsePerm parses an entry such as "n0", "r5", "w5" or "b5".
func ParsePerm(s string) (Perm, error) {
	if len(s) >= 2 && s[1] >= '0' && s[1] <= '9' {
		for i := range accessLetters {
			if accessLetters[i] != s[0] {
				continue
			}
			if id, err := strconv.ParseUint(s[1:], 10, 16); err == nil {
				return Perm{Access(i), abi.DomID(id)}, nil
			}
		}
	}
	return Perm{}, fmt.Errorf("permission %q: want n, r, w or b and a domain id", s)
}

// AppendPerms appends a permission list as SET_PERMS takes it.
func AppendPerms(b []byte, perms []Perm) []byte {
	for _, p := range perms {
		b = append(p.Append(b), 0)
	}
	return b
}

// ParsePerms parses a permission list as GET_PERMS answers it.
func ParsePerms(b []byte) ([]Perm, error) {
	ss := Strings(b)
	perms := make([]Perm, 0, len(ss))
	for _, s := range ss {
		p, err := ParsePerm(s)
		if err != nil {
			return nil, err
		}
		perms = append(perms, p)
	}
	if len(perms) == 0 {
		return nil, fmt.Errorf("empty permission list")
	}
	return perms, nil
}
