package devd

import "goxl/domains/device"

// seen is what a device's nodes say.
type seen struct {
	exists bool
	state  device.State // of the backend
	online bool         // the toolstack wants the device
	status string       // hotplug-status
	server string       // who serves a disk image, if that is settled
	front  device.State // of the guest's half, which the guest can write

	node, target string // what a disk's loop device is, and what it shows
}

// action is what to do about a device.
type action int

const (
	wait     action = iota // for another event
	plug                   // make this domain's side
	assign                 // find who serves a disk image
	refuse                 // say that nobody here serves it
	withdraw               // take this domain's side down, and remove the nodes
	forget                 // the nodes are gone
)

var actionNames = [...]string{"wait", "plug", "assign", "refuse", "withdraw", "forget"}

// String returns the action's name.
func (a action) String() string { return actionNames[a] }

// next decides. Tried: plugging has failed since the backend began to wait, so that it
// is not for this daemon to try again.
func next(kind device.Kind, in seen, tried bool) action {
	fresh := in.online && in.state == device.Initialising
	switch {
	case !in.exists:
		return forget
	case in.state == device.Closed && (!in.online || givenUp(kind, in)):
		return withdraw
	case kind == device.QDisk && fresh && in.server == "":
		return assign
	case kind == device.P9FS && fresh && in.status == "":
		return refuse
	case in.state == device.InitWait && in.online && in.status != "connected" && !tried:
		return plug
	}
	return wait
}

// givenUp reports whether a disk image was closed by libxl, which writes the state of
// a guest that does not run any more by itself, and leaves the device online. A backend
// closes after its guest's half only.
func givenUp(kind device.Kind, in seen) bool {
	return kind == device.QDisk && (in.front == device.Initialised || in.front == device.Connected)
}
