package backends

import "strconv"

// State is where one half of a device is in the handshake with the other.
// Source: xen/include/public/io/xenbus.h.
type State uint8

// The states.
const (
	Unknown       State = 0 // also: there is no such node
	Initialising  State = 1
	InitWait      State = 2
	Initialised   State = 3
	Connected     State = 4
	Closing       State = 5
	Closed        State = 6
	Reconfiguring State = 7
	Reconfigured  State = 8
)

var stateNames = [...]string{"unknown", "initialising", "init-wait", "initialised", "connected",
	"closing", "closed", "reconfiguring", "reconfigured"}

// String returns the state's name.
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return strconv.Itoa(int(s))
}

// parseState reads a node's value; what is no state is Unknown.
func parseState(v string) State {
	if len(v) == 1 && v[0] >= '0' && v[0] <= '8' {
		return State(v[0] - '0')
	}
	return Unknown
}

// action is what a device does next.
type action uint8

const (
	wait      action = iota // for another event
	advertise               // write the features
	connect                 // map the rings and serve them
	reconnect               // let go of the rings and connect to new ones
	reattach                // serve rings that an earlier process of ours served
	announce                // write the state; serving goes on
	release                 // stop serving and let go of everything
)

var actionNames = [...]string{"wait", "advertise", "connect", "reconnect", "reattach", "announce", "release"}

// String returns the action's name.
func (a action) String() string { return actionNames[a] }

// input is all that the next step depends on.
type input struct {
	Own, Peer State // as xenstore has them: the toolstack, too, writes our state
	Online    bool  // the toolstack wants the device
	Attached  bool  // this process serves the rings
	Settled   bool  // the frontend was Connected since we attached
	Failed    bool  // this connection cannot go on: the frontend broke the rules, or we failed
	Refused   bool  // the device cannot be opened now
}

// look notes what is remembered of the states seen.
func (in *input) look() {
	if in.Attached && in.Peer == Connected {
		in.Settled = true
	}
	if !in.Attached && in.Own == Closed && in.Peer != Initialising {
		in.Refused = false // the next try of the frontend is worth one of ours
	}
}

// next is the backend's half of the handshake: it decides on an action and on the
// state to write, does no I/O, and is tested for every input. The frontend may jump
// between states as it likes.
//
// A frontend in Closing is served until it is Closed: Linux's blkfront goes to
// Closing while a disk is mounted and uses it until it is not.
func next(in input) (action, State) {
	failed := in.Failed || in.Refused
	running := in.Peer == Initialised || in.Peer == Connected
	switch {
	case in.Own == Unknown && !in.Attached, in.Own == Closed && !in.Attached && in.Peer != Initialising:
		return wait, in.Own
	case in.Own == Unknown, in.Own == Closed && in.Attached: // our nodes went, or the toolstack waits no longer
		return release, in.Own
	case in.Peer == Unknown || in.Peer == Closed: // the frontend's nodes are gone, or it is
		return release, Closed
	case in.Own == Closed:
		if in.Online && !in.Refused { // the guest loads its driver once more
			return advertise, InitWait
		}
		return wait, Closed
	case in.Attached && in.Failed:
		return release, Closing
	case in.Attached && in.Peer == Initialising: // restarted without a farewell, as a crash kernel may be
		return release, Closed
	case in.Attached && in.Settled && in.Peer == Initialised && in.Own == Connected: // resumed with new rings
		return reconnect, Connected
	case in.Attached && in.Peer == Closing && in.Own != Closing:
		return announce, Closing
	case in.Attached:
		return wait, in.Own
	}
	switch in.Own { // nothing is served
	case Connected, Closing: // by an earlier process, if the frontend is beyond Initialising
		switch {
		case !failed && (in.Peer == Connected || in.Peer == Closing || in.Peer == Initialised && in.Own == Connected):
			return reattach, in.Own
		case in.Own == Closing && (!in.Online || in.Peer == Initialising):
			return release, Closed
		case in.Own == Connected:
			return release, Closing
		}
	case Initialising:
		switch {
		case failed, in.Peer == Closing:
			return announce, Closing
		case in.Online:
			return advertise, InitWait
		}
	case InitWait:
		switch {
		case failed, in.Peer == Closing:
			return announce, Closing
		case running && in.Online:
			return connect, Connected
		}
	}
	return wait, in.Own
}
