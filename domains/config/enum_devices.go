package config

// DiskBackend is what serves a disk. Source: libxl_disk_backend.
type DiskBackend int

// The values of DiskBackend.
const (
	DiskBackendUnknown DiskBackend = iota
	DiskPHY
	DiskTap
	DiskQDisk
	DiskStandalone
)

func (v DiskBackend) String() string { return enumText(v.texts(), int(v)) }

func (DiskBackend) texts() []string {
	return []string{"unknown", "phy", "tap", "qdisk", "standalone"}
}

// DiskFormat is the format of a disk's image. Source: libxl_disk_format.
type DiskFormat int

// The values of DiskFormat.
const (
	FormatUnknown DiskFormat = iota
	FormatQCOW
	FormatQCOW2
	FormatVHD
	FormatRaw
	FormatEmpty
	FormatQED
)

func (v DiskFormat) String() string { return enumText(v.texts(), int(v)) }

func (DiskFormat) texts() []string {
	return []string{"unknown", "qcow", "qcow2", "vhd", "raw", "empty", "qed"}
}

// DiskSpecification is the protocol of a disk. Source: libxl_disk_specification.
type DiskSpecification int

// The values of DiskSpecification.
const (
	DiskSpecUnknown DiskSpecification = iota
	DiskSpecXen
	DiskSpecVirtio
)

func (v DiskSpecification) String() string { return enumText(v.texts(), int(v)) }

func (DiskSpecification) texts() []string {
	return []string{"unknown", "xen", "virtio"}
}

// DiskTransport is the transport of a virtio disk. Source: libxl_disk_transport.
type DiskTransport int

// The values of DiskTransport.
const (
	DiskTransportUnknown DiskTransport = iota
	DiskTransportMMIO
)

func (v DiskTransport) String() string { return enumText(v.texts(), int(v)) }

func (DiskTransport) texts() []string {
	return []string{"unknown", "mmio"}
}

// NICType is a kind of network interface. Source: libxl_nic_type.
type NICType int

// The values of NICType.
const (
	NICUnknown NICType = iota
	NICVIFIOEMU
	NICVIF
)

func (v NICType) String() string { return enumText(v.texts(), int(v)) }

func (NICType) texts() []string {
	return []string{"unknown", "vif_ioemu", "vif"}
}

// VKBBackend is what serves a keyboard. Source: libxl_vkb_backend.
type VKBBackend int

// The values of VKBBackend.
const (
	VKBBackendUnknown VKBBackend = iota
	VKBQEMU
	VKBLinux
)

func (v VKBBackend) String() string { return enumText(v.texts(), int(v)) }

func (VKBBackend) texts() []string {
	return []string{"unknown", "qemu", "linux"}
}

// VirtioTransport is the transport of a virtio device. Source: libxl_virtio_transport.
type VirtioTransport int

// The values of VirtioTransport.
const (
	VirtioTransportUnknown VirtioTransport = iota
	VirtioTransportMMIO
)

func (v VirtioTransport) String() string { return enumText(v.texts(), int(v)) }

func (VirtioTransport) texts() []string {
	return []string{"unknown", "mmio"}
}

// P9Type is what serves a 9pfs. Source: libxl_p9_type.
type P9Type int

// The values of P9Type.
const (
	P9Unknown P9Type = iota
	P9QEMU
	P9Xen9pfsd
)

func (v P9Type) String() string { return enumText(v.texts(), int(v)) }

func (P9Type) texts() []string {
	return []string{"unknown", "qemu", "xen_9pfsd"}
}

// VSndPCMFormat is a format of sound samples. Source: libxl_vsnd_pcm_format.
type VSndPCMFormat int

// The values of VSndPCMFormat.
const (
	VSndFormatUnset VSndPCMFormat = iota
	VSndS8
	VSndU8
	VSndS16LE
	VSndS16BE
	VSndU16LE
	VSndU16BE
	VSndS24LE
	VSndS24BE
	VSndU24LE
	VSndU24BE
	VSndS32LE
	VSndS32BE
	VSndU32LE
	VSndU32BE
	VSndF32LE
	VSndF32BE
	VSndF64LE
	VSndF64BE
	VSndIEC958SUBFRAMELE
	VSndIEC958SUBFRAMEBE
	VSndMULAW
	VSndALAW
	VSndIMAADPCM
	VSndMPEG
	VSndGSM
)

func (v VSndPCMFormat) String() string { return enumText(v.texts(), int(v)) }

func (VSndPCMFormat) texts() []string {
	return []string{
		"", "s8", "u8", "s16_le", "s16_be", "u16_le", "u16_be", "s24_le", "s24_be", "u24_le", "u24_be",
		"s32_le", "s32_be", "u32_le", "u32_be", "f32_le", "f32_be", "f64_le", "f64_be",
		"iec958_subframe_le", "iec958_subframe_be", "mu_law", "a_law", "ima_adpcm", "mpeg", "gsm",
	}
}

// VSndStreamType is the direction of a sound stream. Source: libxl_vsnd_stream_type.
type VSndStreamType int

// The values of VSndStreamType.
const (
	VSndStreamUnset VSndStreamType = iota
	VSndStreamPlayback
	VSndStreamCapture
)

func (v VSndStreamType) String() string { return enumText(v.texts(), int(v)) }

func (VSndStreamType) texts() []string {
	return []string{"", "p", "c"}
}

// ChannelConnection is where a channel ends in the backend. Source: libxl_channel_connection.
type ChannelConnection int

// The values of ChannelConnection.
const (
	ChannelUnknown ChannelConnection = iota
	ChannelPTY
	ChannelSocketConn
)

func (v ChannelConnection) String() string { return enumText(v.texts(), int(v)) }

func (ChannelConnection) texts() []string {
	return []string{"unknown", "pty", "socket"}
}

// USBCtrlType is a kind of USB controller. Source: libxl_usbctrl_type.
type USBCtrlType int

// The values of USBCtrlType.
const (
	USBCtrlAuto USBCtrlType = iota
	USBCtrlPV
	USBCtrlDeviceModel
	USBCtrlQUSB
)

func (v USBCtrlType) String() string { return enumText(v.texts(), int(v)) }

func (USBCtrlType) texts() []string {
	return []string{"auto", "pv", "devicemodel", "qusb"}
}

// USBDevType is a kind of USB device. Source: libxl_usbdev_type.
type USBDevType int

// The values of USBDevType.
const (
	USBDevUnset USBDevType = iota
	USBDevHostDev
)

func (v USBDevType) String() string { return enumText(v.texts(), int(v)) }

func (USBDevType) texts() []string {
	return []string{"", "hostdev"}
}
