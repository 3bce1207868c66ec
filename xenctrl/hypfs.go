package xenctrl

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"goxl/xenctrl/abi"
)

// maxHypfs bounds what a node's header may make us allocate.
const maxHypfs = 1 << 20

// HypfsList returns the nodes of a directory of Xen's own file system, such as
// "/" or "/params". errors.ErrUnsupported when Xen was built without one.
func (h *Handle) HypfsList(path string) ([]abi.HypfsEntry, error) {
	e, b, err := h.HypfsRead(path)
	if err != nil {
		return nil, err
	}
	if e.Type != abi.HypfsDir {
		return nil, hostError("list hypfs "+path, syscall.ENOTDIR)
	}
	return abi.ParseHypfsDir(b), nil
}

// HypfsRead returns a node and its raw content.
func (h *Handle) HypfsRead(path string) (abi.HypfsEntry, []byte, error) {
	op := "read hypfs " + path
	for room := abi.PageSize; ; {
		e, b, err := h.hypfsRead(path, room)
		switch {
		case err == nil:
			return e, b, nil
		case errors.Is(err, syscall.ENOBUFS) && int(e.Size) <= maxHypfs && int(e.Size)+abi.HypfsHeaderSize > room:
			room = int(e.Size) + abi.HypfsHeaderSize
		default:
			return e, nil, hostError(op, err)
		}
	}
}

func (h *Handle) hypfsRead(path string, room int) (abi.HypfsEntry, []byte, error) {
	at := (len(path) + 1 + 7) &^ 7
	c, err := h.begin(at + room)
	if err != nil {
		return abi.HypfsEntry{}, nil, err
	}
	defer c.end()
	copy(c.data(), path)
	_, err = h.hypercall(abi.OpHypfs, abi.HypfsRead,
		[5]uint64{abi.HypfsRead, c.addr(0), uint64(len(path) + 1), c.addr(at), uint64(room)})
	e, _ := abi.ParseHypfsEntry(c.data()[at:])
	if err != nil {
		return e, nil, err
	}
	n := min(int(e.Size), room-abi.HypfsHeaderSize)
	return e, bytes.Clone(c.data()[at+abi.HypfsHeaderSize:][:n]), nil
}

// HypfsWrite writes a node, given as text: numbers and booleans are turned into
// what Xen wants of that node's type.
func (h *Handle) HypfsWrite(path, value string) error {
	op := "write hypfs " + path
	e, _, err := h.HypfsRead(path)
	if err != nil {
		return err
	}
	raw, err := hypfsValue(e, value)
	if err != nil {
		return hostError(op, err)
	}
	at := (len(path) + 1 + 7) &^ 7
	c, err := h.begin(at + len(raw))
	if err != nil {
		return hostError(op, err)
	}
	defer c.end()
	copy(c.data(), path)
	copy(c.data()[at:], raw)
	_, err = h.hypercall(abi.OpHypfs, abi.HypfsWrite,
		[5]uint64{abi.HypfsWrite, c.addr(0), uint64(len(path) + 1), c.addr(at), uint64(len(raw))})
	if err != nil {
		return hostError(op, err)
	}
	return nil
}

// hypfsValue encodes text for a node.
func hypfsValue(e abi.HypfsEntry, text string) ([]byte, error) {
	switch e.Type {
	case abi.HypfsDir:
		return nil, syscall.EISDIR
	case abi.HypfsString:
		return append([]byte(text), 0), nil
	case abi.HypfsBool:
		switch strings.ToLower(text) {
		case "1", "yes", "on", "true", "enable":
			return []byte{1}, nil
		case "0", "no", "off", "false", "disable":
			return []byte{0}, nil
		}
		return nil, fmt.Errorf("%q is no boolean: %w", text, syscall.EINVAL)
	case abi.HypfsUint, abi.HypfsInt:
		return hypfsNumber(e, text)
	}
	return []byte(text), nil
}

func hypfsNumber(e abi.HypfsEntry, text string) ([]byte, error) {
	size := int(e.Size)
	if size < 1 || size > 8 {
		return nil, fmt.Errorf("a number of %d bytes: %w", size, syscall.EINVAL)
	}
	var v uint64
	var err error
	if e.Type == abi.HypfsUint {
		v, err = strconv.ParseUint(text, 0, 8*size)
	} else {
		var s int64
		s, err = strconv.ParseInt(text, 0, 8*size)
		v = uint64(s)
	}
	if err != nil {
		return nil, fmt.Errorf("%q is no number of %d bytes: %w", text, size, syscall.EINVAL)
	}
	return binary.LittleEndian.AppendUint64(nil, v)[:size], nil
}
