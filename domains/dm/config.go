package dm

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"goxl/domains/device"
	"goxl/xenctrl/abi"
)

// DomID names a domain.
type DomID = abi.DomID

// Devices are those of a guest that can need a QEMU process.
type Devices struct {
	Disks    []device.Disk // with their backends chosen
	VFBs     []device.VFB
	P9s      []device.P9
	Channels []device.Channel
}

// NeedQEMU reports whether a PV or PVH guest with these devices needs a QEMU
// process in domain self. A keyboard alone does not: without a frame buffer
// there is nobody to type.
func (d Devices) NeedQEMU(self DomID) bool {
	for _, k := range d.Disks {
		if k.Backend == device.BackendQDisk && k.BackendDom == self && !k.Daemon {
			return true
		}
	}
	for _, p := range d.P9s {
		if !p.Daemon && p.BackendDom == self {
			return true
		}
	}
	for _, c := range d.Channels {
		if !c.Daemon && c.BackendDom == self {
			return true
		}
	}
	return len(d.VFBs) > 0
}

// Config is what a guest's QEMU is started with.
type Config struct {
	Dom      DomID
	UUID     abi.UUID
	Name     string
	MaxMem   abi.KiB // the guest's maximum
	Channels []device.Channel
	VFB      *device.VFB // the first one
	Binary   string      // device_model_override; "" is the host's QEMU for Xen
	Extra    []string    // device_model_args
	ExtraPV  []string    // device_model_args_pv
}

// binaries are where distributions and Xen's own build put the QEMU for Xen.
var binaries = []string{
	"/usr/libexec/xen-qemu-system-i386", // Debian 12 and later
	"/usr/lib/xen/bin/qemu-system-i386",
	"/usr/local/lib/xen/bin/qemu-system-i386",
	"/usr/bin/qemu-system-i386", // Debian 11
}

// args returns QEMU's arguments. Run is the directory of its sockets.
func (c *Config) args(run string) ([]string, error) {
	dom := strconv.Itoa(int(c.Dom))
	a := []string{
		"-xen-domid", dom, "-no-shutdown",
		"-chardev", "socket,id=libxl-cmd,path=" + qmpPath(run, c.Dom) + ",server=on,wait=off",
		"-mon", "chardev=libxl-cmd,mode=control",
		"-chardev", "socket,id=libxenstat-cmd,path=" + statPath(run, c.Dom) + ",server=on,wait=off",
		"-mon", "chardev=libxenstat-cmd,mode=control",
	}
	for _, ch := range c.Channels {
		if ch.Daemon {
			continue
		}
		switch ch.Connection {
		case "pty":
			a = append(a, "-chardev", "pty,id="+device.ChardevID(ch.DevID))
		case "socket":
			if strings.Contains(ch.Path, ",") { // QEMU would take the rest for options
				return nil, fmt.Errorf("channel %s: the path %q holds a comma", ch.Name, ch.Path)
			}
			a = append(a, "-chardev", "socket,id="+device.ChardevID(ch.DevID)+",path="+ch.Path+",server=on,wait=off")
		default:
			return nil, fmt.Errorf("channel %s: connection %q is neither pty nor socket", ch.Name, ch.Connection)
		}
	}
	a = append(a, "-nodefaults", "-no-user-config", "-xen-attach")
	if c.Name != "" {
		a = append(a, "-name", c.Name)
	}
	display, err := c.display()
	if err != nil {
		return nil, err
	}
	a = append(a, display...)
	a = append(a, c.Extra...)
	a = append(a, "-machine", "xenpv")
	a = append(a, c.ExtraPV...)
	return append(a, "-m", strconv.FormatUint((uint64(c.MaxMem)+1023)/1024, 10)), nil
}

func (c *Config) display() ([]string, error) {
	vnc, sdl := c.vnc(), c.VFB != nil && c.VFB.SDL.Enable
	a := []string{"-vnc", "none", "-display", "none"}
	if vnc != nil {
		where, err := vncArg(vnc)
		if err != nil {
			return nil, err
		}
		a[1] = where
	}
	if sdl {
		a = append(a, "-display", "sdl")
	}
	if c.VFB != nil && c.VFB.KeyMap != "" {
		a = append(a, "-k", c.VFB.KeyMap)
	}
	if vnc == nil && !sdl {
		a = append(a, "-nographic")
	}
	return a, nil
}

func (c *Config) vnc() *device.VNC {
	if c.VFB == nil || c.VFB.NoVNC {
		return nil
	}
	return &c.VFB.VNC
}

// vncArg returns where VNC listens. The password is set later, through QMP: a
// command line is for all to see.
func vncArg(v *device.VNC) (string, error) {
	where := v.Listen
	switch {
	case where == "":
		where = fmt.Sprintf("127.0.0.1:%d", v.Display)
	case !strings.Contains(where, ":"):
		where = fmt.Sprintf("%s:%d", where, v.Display)
	case v.Display != 0:
		return "", errors.New("vnc: vnclisten holds a display already, so vncdisplay cannot be set too")
	}
	if v.Password != "" {
		where += ",password=on"
	}
	if !v.NoSearch {
		where += ",to=99" // has to be last
	}
	return where, nil
}

// env returns what is added to QEMU's environment.
func (c *Config) env(have []string) []string {
	var env []string
	limited := false
	for _, kv := range have {
		limited = limited || strings.HasPrefix(kv, "XEN_QEMU_CONSOLE_LIMIT=")
	}
	if !limited {
		env = append(env, "XEN_QEMU_CONSOLE_LIMIT=1048576") // of its log, XSA-180
	}
	if c.VFB != nil && c.VFB.SDL.Enable {
		if d := c.VFB.SDL.Display; d != "" {
			env = append(env, "DISPLAY="+d)
		}
		if x := c.VFB.SDL.XAuthority; x != "" {
			env = append(env, "XAUTHORITY="+x)
		}
	}
	return env
}

// qmpPath is the socket that toolstacks use, statPath the one of xentop. Each
// serves one client at a time.
func qmpPath(run string, dom DomID) string {
	return filepath.Join(run, fmt.Sprintf("qmp-libxl-%d", dom))
}

func statPath(run string, dom DomID) string {
	return filepath.Join(run, fmt.Sprintf("qmp-libxenstat-%d", dom))
}
