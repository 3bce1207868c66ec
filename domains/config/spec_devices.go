package config

import "goxl/xenctrl/abi"

// Backend names the domain that serves a device; by name if Name is set. The
// zero value is dom0.
type Backend struct {
	DomID abi.DomID   `xl:"backend_domid"`
	Name  Opt[string] `xl:"backend_domname"`
}

// Disk is one disk. Source: libxl_device_disk.
type Disk struct {
	Backend      Backend           `xl:",inline"`
	Path         Opt[string]       `xl:"pdev_path"` // target, on the backend's side
	VDev         Opt[string]       `xl:"vdev"`      // name in the guest, such as xvda
	BackendType  DiskBackend       `xl:"backend"`
	Format       DiskFormat        `xl:"format"`
	Script       Opt[string]       `xl:"script"`
	Removable    int               `xl:"removable"`
	ReadWrite    int               `xl:"readwrite"`
	IsCDROM      int               `xl:"is_cdrom"`
	DirectIOSafe bool              `xl:"direct_io_safe"`
	Discard      Defbool           `xl:"discard_enable"`
	Spec         DiskSpecification `xl:"specification,since=4.17"`
	Transport    DiskTransport     `xl:"transport,since=4.17"`
	IRQ          uint32            `xl:"irq,since=4.17"`
	Base         uint64            `xl:"base,since=4.17"`
	COLO         DiskCOLO          `xl:",inline"`
	Trusted      Defbool           `xl:"trusted,since=4.17"`
	GrantUsage   Defbool           `xl:"grant_usage,since=4.19"`
}

// DiskCOLO are the settings for coarse-grained lock stepping.
type DiskCOLO struct {
	Enable        Defbool     `xl:"colo_enable"`
	RestoreEnable Defbool     `xl:"colo_restore_enable"`
	Host          Opt[string] `xl:"colo_host"`
	Port          int         `xl:"colo_port"`
	Export        Opt[string] `xl:"colo_export"`
	ActiveDisk    Opt[string] `xl:"active_disk"`
	HiddenDisk    Opt[string] `xl:"hidden_disk"`
}

// MAC is an Ethernet address; all zeroes is none.
type MAC [6]byte

// NIC is one network interface. Source: libxl_device_nic.
type NIC struct {
	Backend              Backend     `xl:",inline"`
	DevID                DevID       `xl:"devid"`
	MTU                  int         `xl:"mtu"`
	VLAN                 Opt[string] `xl:"vlan,since=4.19"`
	Model                Opt[string] `xl:"model"`
	MAC                  MAC         `xl:"mac"`
	IP                   Opt[string] `xl:"ip"`
	Bridge               Opt[string] `xl:"bridge"`
	IfName               Opt[string] `xl:"ifname"`
	Script               Opt[string] `xl:"script"`
	Type                 NICType     `xl:"nictype"`
	RateBytesPerInterval uint64      `xl:"rate_bytes_per_interval"`
	RateIntervalUsecs    uint32      `xl:"rate_interval_usecs"`
	GatewayDev           Opt[string] `xl:"gatewaydev"`
	COLO                 NICCOLO     `xl:",inline"`
	Trusted              Defbool     `xl:"trusted,since=4.17"`
}

// NICCOLO are the settings for coarse-grained lock stepping, by the name of
// their member (such as "colo_sock_mirror_id"). They are passed on unread.
type NICCOLO map[string]string

// PCIDev is a PCI function of the host given to the guest.
// Source: libxl_device_pci.
type PCIDev struct {
	Func         uint8       `xl:"func"`
	Dev          uint8       `xl:"dev"`
	Bus          uint8       `xl:"bus"`
	Domain       int         `xl:"domain"`
	VDevFn       uint32      `xl:"vdevfn"`
	VFuncMask    uint32      `xl:"vfunc_mask"`
	MSITranslate bool        `xl:"msitranslate"`
	PowerMgmt    bool        `xl:"power_mgmt"`
	Permissive   bool        `xl:"permissive"`
	Seize        bool        `xl:"seize"`
	RDMPolicy    RDMPolicy   `xl:"rdm_policy"`
	Name         Opt[string] `xl:"name,since=4.15"`
}

// RDM is a reserved region of the guest's memory. Source: libxl_device_rdm.
type RDM struct {
	Start  uint64    `xl:"start"`
	Size   uint64    `xl:"size"`
	Policy RDMPolicy `xl:"policy"`
}

// DTDev is a device tree node of the host given to the guest.
type DTDev struct {
	Path Opt[string] `xl:"path"`
}

// VFB is a paravirtual framebuffer. Source: libxl_device_vfb.
type VFB struct {
	Backend Backend     `xl:",inline"`
	DevID   DevID       `xl:"devid"`
	VNC     VNC         `xl:"vnc"`
	SDL     SDL         `xl:"sdl"`
	Keymap  Opt[string] `xl:"keymap"`
}

// VKB is a paravirtual keyboard and pointer. Source: libxl_device_vkb.
type VKB struct {
	Backend                Backend     `xl:",inline"`
	DevID                  DevID       `xl:"devid"`
	BackendType            VKBBackend  `xl:"backend_type"`
	UniqueID               Opt[string] `xl:"unique_id"`
	FeatureDisableKeyboard bool        `xl:"feature_disable_keyboard"`
	FeatureDisablePointer  bool        `xl:"feature_disable_pointer"`
	FeatureAbsPointer      bool        `xl:"feature_abs_pointer"`
	FeatureRawPointer      bool        `xl:"feature_raw_pointer"`
	FeatureMultiTouch      bool        `xl:"feature_multi_touch"`
	Width                  uint32      `xl:"width"`
	Height                 uint32      `xl:"height"`
	MultiTouchWidth        uint32      `xl:"multi_touch_width"`
	MultiTouchHeight       uint32      `xl:"multi_touch_height"`
	MultiTouchContacts     uint32      `xl:"multi_touch_num_contacts"`
}

// Virtio is a generic virtio device, since 4.18. Source: libxl_device_virtio.
type Virtio struct {
	Backend    Backend         `xl:",inline"`
	Type       Opt[string]     `xl:"type"`
	Transport  VirtioTransport `xl:"transport"`
	GrantUsage Defbool         `xl:"grant_usage"`
	DevID      DevID           `xl:"devid"`
	IRQ        uint32          `xl:"irq"`
	Base       uint64          `xl:"base"`
}

// VTPM is a virtual trusted platform module. Source: libxl_device_vtpm.
type VTPM struct {
	Backend Backend  `xl:",inline"`
	DevID   DevID    `xl:"devid"`
	UUID    abi.UUID `xl:"uuid"`
}

// P9 is a directory shared by 9pfs. Source: libxl_device_p9.
type P9 struct {
	Backend       Backend     `xl:",inline"`
	Tag           Opt[string] `xl:"tag"`
	Path          Opt[string] `xl:"path"`
	SecurityModel Opt[string] `xl:"security_model"`
	DevID         DevID       `xl:"devid"`
	Type          P9Type      `xl:"type,since=4.19"`
	MaxSpace      int         `xl:"max_space,since=4.19"` // MiB
	MaxFiles      int         `xl:"max_files,since=4.19"`
	MaxOpenFiles  int         `xl:"max_open_files,since=4.19"`
	AutoDelete    bool        `xl:"auto_delete,since=4.19"`
}

// PVCallsIf is a socket call interface. Source: libxl_device_pvcallsif.
type PVCallsIf struct {
	Backend Backend `xl:",inline"`
	DevID   DevID   `xl:"devid"`
}

// VDispl is a paravirtual display. Source: libxl_device_vdispl.
type VDispl struct {
	Backend    Backend     `xl:",inline"`
	DevID      DevID       `xl:"devid"`
	BEAlloc    bool        `xl:"be_alloc"`
	Connectors []Connector `xl:"connectors"`
}

// Connector is one screen of a VDispl.
type Connector struct {
	UniqueID Opt[string] `xl:"unique_id"`
	Width    uint32      `xl:"width"`
	Height   uint32      `xl:"height"`
}

// VSnd is a paravirtual sound card. Source: libxl_device_vsnd.
type VSnd struct {
	Backend   Backend     `xl:",inline"`
	DevID     DevID       `xl:"devid"`
	ShortName Opt[string] `xl:"short_name"`
	LongName  Opt[string] `xl:"long_name"`
	Params    VSndParams  `xl:"params"`
	PCMs      []VSndPCM   `xl:"pcms"`
}

// VSndPCM is one device of a sound card.
type VSndPCM struct {
	Name    Opt[string]  `xl:"name"`
	Params  VSndParams   `xl:"params"`
	Streams []VSndStream `xl:"streams"`
}

// VSndStream is one stream of a sound device.
type VSndStream struct {
	UniqueID Opt[string]    `xl:"unique_id"`
	Type     VSndStreamType `xl:"type"`
	Params   VSndParams     `xl:"params"`
}

// VSndParams limit what a sound stream may be set to.
type VSndParams struct {
	SampleRates   []uint32        `xl:"sample_rates"`
	SampleFormats []VSndPCMFormat `xl:"sample_formats"`
	ChannelsMin   uint32          `xl:"channels_min"`
	ChannelsMax   uint32          `xl:"channels_max"`
	BufferSize    uint32          `xl:"buffer_size"`
}

// Channel is a console with a name. Source: libxl_device_channel.
type Channel struct {
	Backend    Backend           `xl:",inline"`
	DevID      DevID             `xl:"devid"`
	Name       Opt[string]       `xl:"name"`
	Connection ChannelConnection `xl:"-"`
	Socket     *ChannelSocket    `xl:"connection.socket,union"` // set if Connection is ChannelSocketConn
}

// ChannelSocket is the Unix socket that a channel ends in.
type ChannelSocket struct {
	Path Opt[string] `xl:"path"`
}

// USBCtrl is a USB controller. Source: libxl_device_usbctrl.
type USBCtrl struct {
	Type    USBCtrlType `xl:"type"`
	DevID   DevID       `xl:"devid"`
	Version int         `xl:"version"`
	Ports   int         `xl:"ports"`
	Backend Backend     `xl:",inline"`
}

// USBDev is a USB device of the host given to the guest.
// Source: libxl_device_usbdev.
type USBDev struct {
	Ctrl    DevID       `xl:"ctrl"`
	Port    int         `xl:"port"`
	Type    USBDevType  `xl:"-"`
	HostDev *USBHostDev `xl:"type.hostdev,union"`
}

// USBHostDev is the place of a USB device on the host.
type USBHostDev struct {
	HostBus  uint8 `xl:"hostbus"`
	HostAddr uint8 `xl:"hostaddr"`
}
