package device

import (
	"fmt"
	"strconv"
	"strings"

	"goxl/xenctrl/abi"
)

// DomID names a domain.
type DomID = abi.DomID

// Kind is the name of a device class as it appears in xenstore paths. The
// frontend's and the backend's kind of one device can differ.
// Source: tools/libs/light/libxl_types_internal.idl, libxl__device_kind.
type Kind string

// The kinds that a path may hold.
const (
	VIF        Kind = "vif"
	VBD        Kind = "vbd"
	QDisk      Kind = "qdisk"
	PCI        Kind = "pci"
	VFBKind    Kind = "vfb"
	VKBD       Kind = "vkbd"
	ConsoleDev Kind = "console"
	VTPM       Kind = "vtpm"
	VUSB       Kind = "vusb"
	QUSB       Kind = "qusb"
	P9FS       Kind = "9pfs"
	VDispl     Kind = "vdispl"
	VUART      Kind = "vuart"
	PVCalls    Kind = "pvcalls"
	VSnd       Kind = "vsnd"
	VInput     Kind = "vinput"
	VirtioDisk Kind = "virtio_disk"
	Virtio     Kind = "virtio"   // since 4.18
	VBD3       Kind = "vbd3"     // since 4.19: a tap disk
	Xen9PFS    Kind = "xen_9pfs" // since 4.19: xen-9pfsd
)

// Known reports whether k is a kind of device that libxl has a name for.
func (k Kind) Known() bool {
	switch k {
	case VIF, VBD, QDisk, PCI, VFBKind, VKBD, ConsoleDev, VTPM, VUSB, QUSB, P9FS, VDispl,
		VUART, PVCalls, VSnd, VInput, VirtioDisk, Virtio, VBD3, Xen9PFS:
		return true
	}
	return false
}

// frontend is the frontend's kind of a device with a backend of kind k.
func (k Kind) frontend() Kind {
	switch k {
	case QDisk, VBD3:
		return VBD
	case Xen9PFS:
		return P9FS
	case QUSB:
		return VUSB
	}
	return k
}

// Device names one device of a guest and where its other half lives. It is what
// libxl keeps in /libxl/D/device: enough to find, wait for and remove the device.
type Device struct {
	Dom         DomID // the guest
	Kind        Kind  // the frontend's kind
	ID          int   // the device id: a vdev number for disks, an index for others
	Backend     DomID // the domain that serves it
	BackendKind Kind
}

// String returns d as a message names it.
func (d Device) String() string {
	return fmt.Sprintf("%s %d of domain %d", d.Kind, d.ID, d.Dom)
}

// FrontendPath is the directory of the guest's half.
func (d Device) FrontendPath() string {
	switch {
	case d.Kind == ConsoleDev && d.ID == 0:
		return fmt.Sprintf("/local/domain/%d/console", d.Dom)
	case d.Kind == VUART:
		return fmt.Sprintf("/local/domain/%d/vuart/%d", d.Dom, d.ID)
	}
	return fmt.Sprintf("/local/domain/%d/device/%s/%d", d.Dom, d.Kind, d.ID)
}

// BackendPath is the directory of the serving half.
func (d Device) BackendPath() string {
	return fmt.Sprintf("/local/domain/%d/backend/%s/%d/%d", d.Backend, d.BackendKind, d.Dom, d.ID)
}

// LibxlPath is the toolstack's own record, which no guest can read or change.
func (d Device) LibxlPath() string {
	return fmt.Sprintf("/libxl/%d/device/%s/%d", d.Dom, d.Kind, d.ID)
}

// inQEMU reports whether a QEMU process serves d: such a backend goes to state 4
// by itself once its process runs, so nobody waits for state 2.
func (d Device) inQEMU() bool {
	switch d.BackendKind {
	case QDisk, VFBKind, VKBD, P9FS, QUSB:
		return true
	}
	return false
}

// ParseBackendPath takes a path of the form /local/domain/B/backend/KIND/D/ID
// apart. Kind and BackendKind of the result are both the backend's.
func ParseBackendPath(path string) (Device, error) {
	part := strings.Split(path, "/")
	if len(part) < 8 || part[0] != "" || part[1] != "local" || part[2] != "domain" || part[4] != "backend" {
		return Device{}, fmt.Errorf("backend path %q: not of the form /local/domain/B/backend/KIND/D/ID", path)
	}
	back, err := parseDomID(part[3])
	if err != nil {
		return Device{}, fmt.Errorf("backend path %q: %w", path, err)
	}
	dom, err := parseDomID(part[6])
	if err != nil {
		return Device{}, fmt.Errorf("backend path %q: %w", path, err)
	}
	id, err := parseDevID(part[7])
	if err != nil {
		return Device{}, fmt.Errorf("backend path %q: %w", path, err)
	}
	kind := Kind(part[5])
	if !kind.Known() {
		return Device{}, fmt.Errorf("backend path %q: unknown kind of device %q", path, kind)
	}
	return Device{Dom: dom, Kind: kind, ID: id, Backend: back, BackendKind: kind}, nil
}

func parseDomID(s string) (DomID, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || DomID(n) >= abi.DomFirstReserved {
		return 0, fmt.Errorf("%q is no domain id", s)
	}
	return DomID(n), nil
}

func parseDevID(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is no device id", s)
	}
	return int(n), nil
}
