package backends

import (
	"errors"
	"fmt"
	"strconv"
)

// ErrFrontend says that a frontend wrote what it may not. Its device is closed.
var ErrFrontend = errors.New("frontend breaks the protocol")

// Key is a node to write below a device's directory, and its value.
type Key struct{ Name, Value string }

// Uint is a key with a number.
func Uint(name string, v uint64) Key { return Key{name, strconv.FormatUint(v, 10)} }

// Flag is a key with 0 or 1.
func Flag(name string, on bool) Key {
	if on {
		return Key{name, "1"}
	}
	return Key{name, "0"}
}

// Keys are nodes that were read together, by their names below a directory. One that
// is missing does not exist. The other domain may have changed them since.
type Keys map[string]string

// Uint returns the number at name, which must be plain decimal and within lo to hi;
// ok is false when there is no such node. The error is ErrFrontend.
func (k Keys) Uint(name string, lo, hi uint64) (v uint64, ok bool, err error) {
	s, ok := k[name]
	if !ok {
		return 0, false, nil
	}
	v, err = strconv.ParseUint(s, 10, 64)
	if err != nil || v < lo || v > hi {
		return 0, true, fmt.Errorf("%w: %s is %.32q, want a number from %d to %d", ErrFrontend, name, s, lo, hi)
	}
	return v, true, nil
}

// Need is Uint for a node that must be there.
func (k Keys) Need(name string, lo, hi uint64) (uint64, error) {
	v, ok, err := k.Uint(name, lo, hi)
	if !ok {
		err = fmt.Errorf("%w: %s is missing", ErrFrontend, name)
	}
	return v, err
}

// Flag reports whether the node at name is a number other than 0; no node is false.
func (k Keys) Flag(name string) (bool, error) {
	v, _, err := k.Uint(name, 0, 1<<32-1)
	return v != 0, err
}
