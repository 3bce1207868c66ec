package config

// HVMInfo holds what only HVM guests have.
type HVMInfo struct {
	Firmware        Opt[string]     `xl:"firmware"`
	BIOS            BIOSType        `xl:"bios"`
	PAE             Defbool         `xl:"pae"`
	APIC            Defbool         `xl:"apic"` // old place of BuildInfo.APIC
	ACPI            Defbool         `xl:"acpi"`
	ACPIS3          Defbool         `xl:"acpi_s3"`
	ACPIS4          Defbool         `xl:"acpi_s4"`
	ACPILaptopSlate Defbool         `xl:"acpi_laptop_slate"`
	NX              Defbool         `xl:"nx"`
	Viridian        Defbool         `xl:"viridian"`
	ViridianEnable  Bitmap          `xl:"viridian_enable"`
	ViridianDisable Bitmap          `xl:"viridian_disable"`
	TimeOffset      Opt[string]     `xl:"timeoffset"`
	HPET            Defbool         `xl:"hpet"`
	VPTAlign        Defbool         `xl:"vpt_align"`
	MMIOHoleMem     MemKB           `xl:"mmio_hole_memkb"`
	TimerMode       TimerMode       `xl:"timer_mode"` // old place of BuildInfo.TimerMode
	NestedHVM       Defbool         `xl:"nested_hvm"` // old place of BuildInfo.NestedHVM
	Altp2m          Defbool         `xl:"altp2m"`
	SystemFirmware  Opt[string]     `xl:"system_firmware"`
	SMBIOSFirmware  Opt[string]     `xl:"smbios_firmware"`
	SMBIOS          []SMBIOS        `xl:"smbios,since=4.18"`
	ACPIFirmware    Opt[string]     `xl:"acpi_firmware"`
	HDType          HDType          `xl:"hdtype"`
	NoGraphic       Defbool         `xl:"nographic"`
	VGA             VGA             `xl:"vga"`
	VNC             VNC             `xl:"vnc"`
	Keymap          Opt[string]     `xl:"keymap"`
	SDL             SDL             `xl:"sdl"`
	Spice           Spice           `xl:"spice"`
	GfxPassthru     Defbool         `xl:"gfx_passthru"`
	GfxPassthruKind GfxPassthruKind `xl:"gfx_passthru_kind"`
	Serial          Opt[string]     `xl:"serial"`
	Boot            Opt[string]     `xl:"boot"`
	USB             Defbool         `xl:"usb"`
	USBVersion      int             `xl:"usbversion"`
	USBDevice       Opt[string]     `xl:"usbdevice"`
	VKBDevice       Defbool         `xl:"vkb_device"`
	SoundHW         Opt[string]     `xl:"soundhw"`
	XenPlatformPCI  Defbool         `xl:"xen_platform_pci"`
	XenPlatformUC   Defbool         `xl:"xen_platform_pci_bar_uc,since=4.21"`
	USBDeviceList   []string        `xl:"usbdevice_list"`
	VendorDevice    VendorDevice    `xl:"vendor_device"`
	VMGenID         VMGenID         `xl:"ms_vm_genid"`
	SerialList      []string        `xl:"serial_list"`
	RDM             RDMReserve      `xl:"rdm"`
	RDMMemBoundary  MemKB           `xl:"rdm_mem_boundary_memkb"`
	MCACaps         uint64          `xl:"mca_caps"`
	PIRQ            Defbool         `xl:"pirq,since=4.19"`
}

// VMGenID is the Microsoft VM generation id; all zeroes is none.
type VMGenID [16]byte

// SMBIOS is one string of the guest's SMBIOS tables.
type SMBIOS struct {
	Key   SMBIOSType  `xl:"key"`
	Value Opt[string] `xl:"value"`
}

// VGA is the emulated graphics card.
type VGA struct {
	Kind VGAKind `xl:"kind"`
}

// VNC describes a VNC server. Source: libxl_vnc_info.
type VNC struct {
	Enable     Defbool     `xl:"enable"`
	Listen     Opt[string] `xl:"listen"` // address, or address:display
	Passwd     Opt[string] `xl:"passwd"`
	Display    int         `xl:"display"`
	FindUnused Defbool     `xl:"findunused"`
}

// SDL describes a window on dom0's own screen. Source: libxl_sdl_info.
type SDL struct {
	Enable     Defbool     `xl:"enable"`
	OpenGL     Defbool     `xl:"opengl"`
	Display    Opt[string] `xl:"display"`
	XAuthority Opt[string] `xl:"xauthority"`
}

// Spice describes a SPICE server. Source: libxl_spice_info.
type Spice struct {
	Enable           Defbool     `xl:"enable"`
	Port             int         `xl:"port"`
	TLSPort          int         `xl:"tls_port"`
	Host             Opt[string] `xl:"host"`
	DisableTicketing Defbool     `xl:"disable_ticketing"`
	Passwd           Opt[string] `xl:"passwd"`
	AgentMouse       Defbool     `xl:"agent_mouse"`
	VDAgent          Defbool     `xl:"vdagent"`
	ClipboardSharing Defbool     `xl:"clipboard_sharing"`
	USBRedirection   int         `xl:"usbredirection"`
	ImageCompression Opt[string] `xl:"image_compression"`
	StreamingVideo   Opt[string] `xl:"streaming_video"`
}

// RDMReserve says what to do about reserved device memory of the host.
type RDMReserve struct {
	Strategy RDMStrategy `xl:"strategy"`
	Policy   RDMPolicy   `xl:"policy"`
}
