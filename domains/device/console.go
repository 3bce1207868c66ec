package device

import (
	"errors"
	"fmt"
	"strconv"

	"goxl/xenctrl/abi"
)

// consoleLimit is how much output a console daemon keeps for a slow reader, in bytes.
const consoleLimit = 1048576 // LIBXL_XENCONSOLE_LIMIT

// ConsoleServer is who serves a console's ring.
type ConsoleServer string

// The servers.
const (
	XenConsoled ConsoleServer = "xenconsoled"
	IOEmu       ConsoleServer = "ioemu" // the guest's QEMU
)

// Console describes a guest's console. Number 0 is the primary one: its ring and
// port exist before the guest starts and are part of the description. The others
// are negotiated by the guest; QEMU or goxl's console daemon serves them.
type Console struct {
	DevID      int
	BackendDom DomID
	Server     ConsoleServer
	Output     string // where the server connects it: "pty", or a chardev of QEMU
	Name       string // as a channel's name; not for the primary one
	Connection string // "pty" or "socket", for channels
	Path       string // of the socket

	// Of the primary console only.
	Port    abi.Port
	RingRef uint64 // frame number: PV a machine frame, else a guest frame
	TTY     string // set when a pty exists already, as after a bootloader
}

// Device returns the identity of c in guest dom.
func (c *Console) Device(dom DomID) Device {
	return Device{Dom: dom, Kind: ConsoleDev, ID: c.DevID, Backend: c.BackendDom, BackendKind: ConsoleDev}
}

func (c *Console) check() error {
	if c.DevID == 0 && (c.Name != "" || c.Path != "") {
		return errors.New("primary console: can have neither a name nor a path")
	}
	return nil
}

func (c *Console) nodes(dev Device) nodes {
	var n nodes
	n.back.add("frontend-id", strconv.Itoa(int(dev.Dom)))
	n.back.add("online", "1")
	n.back.add("state", "1")
	n.back.add("protocol", "vt100")
	if c.Name != "" {
		n.roFront.add("name", c.Name)
		n.back.add("name", c.Name)
	}
	addSet(&n.back, "connection", c.Connection)
	addSet(&n.back, "path", c.Path)
	if c.DevID != 0 && c.Server == XenConsoled {
		n.back.add(ServerKey, serverConsoled)
	}
	n.front.add("backend-id", strconv.Itoa(int(dev.Backend)))
	n.roFront.add("limit", strconv.Itoa(consoleLimit))
	n.roFront.add("type", string(c.Server))
	n.roFront.add("output", c.Output)
	n.roFront.add("tty", c.TTY)
	if dev.ID == 0 {
		n.roFront.add("port", strconv.FormatUint(uint64(c.Port), 10))
		n.roFront.add("ring-ref", strconv.FormatUint(c.RingRef, 10))
	} else {
		n.front.add("state", "1")
		n.front.add("protocol", "vt100")
	}
	return n
}

// Channel describes a named byte pipe between a guest and dom0, which is a
// console served by QEMU or by goxl's console daemon.
type Channel struct {
	DevID      int // of the console; the first channel has 1
	Name       string
	Connection string // "pty" or "socket"
	Path       string // of the Unix socket
	BackendDom DomID
	Daemon     bool // goxl's console daemon serves it; see Set.LeaveChannels
}

// Console returns the console that channel c is.
func (c *Channel) Console() (Console, error) {
	con := Console{DevID: c.DevID, BackendDom: c.BackendDom, Server: IOEmu, Name: c.Name, Connection: c.Connection}
	if c.Daemon { // which also keeps a QEMU that the guest has for something else from it
		con.Server = XenConsoled
	}
	if c.Name == "" {
		return Console{}, fmt.Errorf("channel %d has no name; add name=", c.DevID)
	}
	if c.DevID < 1 {
		return Console{}, fmt.Errorf("channel %s: device id %d is the primary console's", c.Name, c.DevID)
	}
	switch c.Connection {
	case "pty":
		con.Output = "pty"
	case "socket":
		if c.Path == "" {
			return Console{}, fmt.Errorf("channel %s has no path for its socket; add path=", c.Name)
		}
		con.Path, con.Output = c.Path, ChardevID(c.DevID)
		con.Output = "chardev:" + con.Output
	default:
		return Console{}, fmt.Errorf("channel %s: connection %q is neither pty nor socket", c.Name, c.Connection)
	}
	return con, nil
}

// ChardevID is the id of the QEMU character device that serves channel devid.
func ChardevID(devid int) string { return fmt.Sprintf("libxl-channel%d", devid) }
