package xenctrl

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"goxl/xenctrl/abi"
)

// ExtraVersion returns what follows "4.17" in Xen's version: ".5", "-rc1".
func (h *Handle) ExtraVersion() (string, error) {
	return h.verString("get extra version", abi.VerExtraVersion, abi.VerExtraVersion2, abi.ExtraVersionSize)
}

// Capabilities returns the kinds of guests that Xen runs, separated by blanks,
// as Xen wrote them ("xen-3.0-x86_64 hvm-3.0-x86_32 … ").
func (h *Handle) Capabilities() (string, error) {
	return h.verString("get capabilities", abi.VerCapabilities, abi.VerCapabilities2, abi.CapabilitiesSize)
}

// Changeset returns the source revision that Xen was built from.
func (h *Handle) Changeset() (string, error) {
	return h.verString("get changeset", abi.VerChangeset, abi.VerChangeset2, abi.ChangesetSize)
}

// CommandLine returns Xen's own command line.
func (h *Handle) CommandLine() (string, error) {
	return h.verString("get command line", abi.VerCommandLine, abi.VerCommandLine2, abi.CommandLineSize)
}

// CompileInfo returns who built Xen, when and with what.
func (h *Handle) CompileInfo() (abi.CompileInfo, error) {
	b, _, err := h.ver("get compile information", abi.VerCompileInfo, abi.CompileInfoSize)
	if err != nil {
		return abi.CompileInfo{}, err
	}
	return abi.ParseCompileInfo(b), nil
}

// BuildID returns the id that the linker gave Xen; errors.ErrUnsupported or
// syscall.ENODATA when it gave none.
func (h *Handle) BuildID() ([]byte, error) {
	const op = "get build id"
	const room = 256
	c, err := h.begin(0)
	if err != nil {
		return nil, hostError(op, err)
	}
	defer c.end()
	arg := c.buf.b[:dataOffset]
	binary.LittleEndian.PutUint32(arg, room-4)
	n, b, err := c.command(op, abi.OpXenVersion, abi.VerBuildID, abi.DomInvalid)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(b[4 : 4+min(int(n), room-4)]), nil
}

// PlatformParams returns where Xen's reserved part of the address space starts.
func (h *Handle) PlatformParams() (uint64, error) {
	b, _, err := h.ver("get platform parameters", abi.VerPlatform, 8)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// PageSize returns the page size that Xen reports.
func (h *Handle) PageSize() (int, error) {
	n, err := h.hypercall(abi.OpXenVersion, abi.VerPageSize, [5]uint64{abi.VerPageSize})
	if err != nil {
		return 0, hostError("get page size", err)
	}
	return int(n), nil
}

// Features returns a word of feature bits (XENFEAT_…) as Xen offers them to us.
func (h *Handle) Features(submap uint32) (uint32, error) {
	const op = "get features"
	c, err := h.begin(0)
	if err != nil {
		return 0, hostError(op, err)
	}
	defer c.end()
	binary.LittleEndian.PutUint32(c.buf.b, submap)
	_, b, err := c.command(op, abi.OpXenVersion, abi.VerGetFeatures, abi.DomInvalid)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b[4:]), nil
}

// verString reads a text. Xen 4.20 has a second set of calls that do not cut
// it off; they are used when the old answer fills its room.
func (h *Handle) verString(op string, cmd, cmd2 uint32, size int) (string, error) {
	b, _, err := h.ver(op, cmd, size)
	if err != nil {
		return "", err
	}
	text, _, _ := bytes.Cut(b, []byte{0})
	if len(text) < size-1 || !h.version.AtLeast(4, 20) {
		return string(text), nil
	}
	return h.verLong(op, cmd2)
}

// verLong reads a text of any length: a word with the room, then the text.
func (h *Handle) verLong(op string, cmd uint32) (string, error) {
	n, err := h.hypercall(abi.OpXenVersion, cmd, [5]uint64{uint64(cmd)})
	if err != nil {
		return "", hostError(op, err)
	}
	if n > 1<<20 {
		return "", hostError(op, fmt.Errorf("%d bytes of text", n))
	}
	c, err := h.begin(4 + int(n))
	if err != nil {
		return "", hostError(op, err)
	}
	defer c.end()
	binary.LittleEndian.PutUint32(c.data(), uint32(n))
	got, err := h.hypercall(abi.OpXenVersion, cmd, [5]uint64{uint64(cmd), c.addr(0)})
	if err != nil {
		return "", hostError(op, err)
	}
	return string(c.data()[4 : 4+min(got, n)]), nil
}

// ver makes a xen_version call that fills a structure of size bytes.
func (h *Handle) ver(op string, cmd uint32, size int) ([]byte, int64, error) {
	c, err := h.begin(size)
	if err != nil {
		return nil, 0, hostError(op, err)
	}
	defer c.end()
	n, err := h.hypercall(abi.OpXenVersion, cmd, [5]uint64{uint64(cmd), c.addr(0)})
	if err != nil {
		return nil, 0, hostError(op, err)
	}
	return bytes.Clone(c.data()), n, nil
}
