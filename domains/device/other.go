package device

import (
	"fmt"
	"strconv"
)

// VFB describes a virtual frame buffer, shown by QEMU through VNC or SDL.
type VFB struct {
	DevID      int
	BackendDom DomID
	NoVNC      bool
	VNC        VNC
	SDL        SDL
	KeyMap     string // for QEMU's command line, not in xenstore
}

// VNC is where a frame buffer listens.
type VNC struct {
	Listen   string // "": 127.0.0.1
	Password string // "": none
	Display  int
	NoSearch bool // fail when Display is taken, instead of using a higher one
}

// SDL is a window on the host's own screen.
type SDL struct {
	Enable, OpenGL      bool
	Display, XAuthority string
}

// Device returns the identity of v in guest dom.
func (v *VFB) Device(dom DomID) Device {
	return Device{Dom: dom, Kind: VFBKind, ID: v.DevID, Backend: v.BackendDom, BackendKind: VFBKind}
}

func (v *VFB) nodes(dev Device) nodes {
	n := generic(dev)
	n.back.add("vnc", bit(!v.NoVNC))
	listen := v.VNC.Listen
	if listen == "" && !v.NoVNC {
		listen = "127.0.0.1"
	}
	addSet(&n.back, "vnclisten", listen)
	addSet(&n.back, "vncpasswd", v.VNC.Password)
	n.back.add("vncdisplay", strconv.Itoa(v.VNC.Display))
	n.back.add("vncunused", bit(!v.NoVNC && !v.VNC.NoSearch))
	n.back.add("sdl", bit(v.SDL.Enable))
	n.back.add("opengl", bit(v.SDL.OpenGL))
	addSet(&n.back, "xauthority", v.SDL.XAuthority)
	addSet(&n.back, "display", v.SDL.Display)
	return n
}

// VKB describes a virtual keyboard and pointer.
type VKB struct {
	DevID           int
	BackendDom      DomID
	Linux           bool // served by a program other than QEMU
	UniqueID        string
	DisableKeyboard bool
	DisablePointer  bool
	AbsPointer      bool
	RawPointer      bool
	MultiTouch      *MultiTouch
	Width, Height   uint32
}

// MultiTouch is a touch surface.
type MultiTouch struct{ Width, Height, Contacts uint32 }

// Device returns the identity of k in guest dom.
func (k *VKB) Device(dom DomID) Device {
	d := Device{Dom: dom, Kind: VKBD, ID: k.DevID, Backend: k.BackendDom, BackendKind: VKBD}
	if k.Linux {
		d.BackendKind = VInput
	}
	return d
}

func (k *VKB) nodes(dev Device) nodes {
	n := generic(dev)
	addSet(&n.back, "unique-id", k.UniqueID)
	for _, f := range []struct {
		key string
		on  bool
	}{
		{"feature-disable-keyboard", k.DisableKeyboard},
		{"feature-disable-pointer", k.DisablePointer},
		{"feature-abs-pointer", k.AbsPointer},
		{"feature-raw-pointer", k.RawPointer},
	} {
		if f.on {
			n.back.add(f.key, "1")
		}
	}
	if t := k.MultiTouch; t != nil {
		n.back.add("feature-multi-touch", "1")
		n.back.add("multi-touch-width", u32(t.Width))
		n.back.add("multi-touch-height", u32(t.Height))
		n.back.add("multi-touch-num-contacts", u32(t.Contacts))
	}
	if k.Width != 0 {
		n.back.add("width", u32(k.Width))
	}
	if k.Height != 0 {
		n.back.add("height", u32(k.Height))
	}
	return n
}

// P9 describes a directory of the backend domain that a guest can mount by 9pfs.
type P9 struct {
	DevID         int
	BackendDom    DomID
	Tag           string // what the guest mounts
	Path          string // the directory
	SecurityModel string // "none" is the only one
	Daemon        bool   // served by xen-9pfsd instead of QEMU; since 4.19

	// Of xen-9pfsd only; zero is no limit.
	MaxSpaceMiB, MaxFiles, MaxOpenFiles uint32
	AutoDelete                          bool
}

// Device returns the identity of p in guest dom.
func (p *P9) Device(dom DomID) Device {
	d := Device{Dom: dom, Kind: P9FS, ID: p.DevID, Backend: p.BackendDom, BackendKind: P9FS}
	if p.Daemon {
		d.BackendKind = Xen9PFS
	}
	return d
}

func (p *P9) check(l Layout) error {
	switch {
	case p.Daemon && !l.Xen9PFSD:
		return fmt.Errorf("9pfs %s: type=xen_9pfsd needs Xen 4.19 or later", p.Tag)
	case !p.Daemon && (p.MaxSpaceMiB != 0 || p.MaxFiles != 0 || p.MaxOpenFiles != 0 || p.AutoDelete):
		return fmt.Errorf("9pfs %s: limits and auto-delete need type=xen_9pfsd", p.Tag)
	case p.Tag == "" || p.Path == "" || p.SecurityModel == "":
		return fmt.Errorf("9pfs %s: needs tag, path and security_model", p.Tag)
	}
	return nil
}

func (p *P9) nodes(dev Device) nodes {
	n := generic(dev)
	n.back.add("path", p.Path)
	n.back.add("security_model", p.SecurityModel)
	if p.Daemon {
		n.back.add("max-space", u32(p.MaxSpaceMiB))
		n.back.add("max-files", u32(p.MaxFiles))
		n.back.add("max-open-files", u32(p.MaxOpenFiles))
		n.back.add("auto-delete", bit(p.AutoDelete))
	}
	n.front.add("tag", p.Tag)
	return n
}

func u32(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
