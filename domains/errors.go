package domains

import (
	"errors"
	"fmt"
	"strings"

	"goxl/xenctrl/abi"
)

// Code names a kind of failure. Codes are stable: programs may compare them, and
// --json-errors prints them. A Code is itself an error, so that
// errors.Is(err, domains.NoDomain) asks for the kind.
type Code string

// The codes, with what they mean and, in brackets, the libxl error number that
// the genuine tool gives in the same case.
const (
	Failed       Code = "failed"        // any other failure [-3]
	NoDomain     Code = "no-domain"     // no such domain, by id [-21]
	NoName       Code = "no-name"       // no domain has that name [-6]
	NameTaken    Code = "name-taken"    // another domain has the name [-6]
	BadConfig    Code = "bad-config"    // the configuration contradicts itself or the host [-6]
	Unsupported  Code = "unsupported"   // known, and refused by name [-4]
	NoMemory     Code = "no-memory"     // the host has too little free memory [-3]
	NoFile       Code = "no-file"       // a file that the configuration names is missing or unreadable [-3]
	BadKernel    Code = "bad-kernel"    // the kernel cannot be loaded as this kind of guest [-3]
	Bootloader   Code = "bootloader"    // the external boot loader failed [-3]
	DomIDTaken   Code = "domid-taken"   // the wanted domain id exists or was used a moment ago [-3]
	Hypervisor   Code = "hypervisor"    // Xen refused [-3]
	Store        Code = "xenstore"      // xenstore refused, or is away [-3]
	DeviceFailed Code = "device"        // a device did not come up or did not go [-3]
	DeviceExists Code = "device-exists" // a device has that number already [-17]
	DeviceBusy   Code = "device-busy"   // a disk's target is in use elsewhere [-3]
	NoDevice     Code = "no-device"     // no such device [-6]
	NoAck        Code = "no-ack"        // the guest did not acknowledge a request [-9]
	TimedOut     Code = "timed-out"     // something of ours did not happen in time [-9]
	NoPVControl  Code = "no-pv-control" // the guest listens to no control requests [-10]
	Locked       Code = "locked"        // a lock file of libxl could not be taken: the domain is going away [-15]
	NoConfig     Code = "no-config"     // the domain's stored configuration is missing or unreadable [-3]
	OutOfRange   Code = "out-of-range"  // a number outside of what the domain allows [-6]
	Protected    Code = "protected"     // domain 0 is not touched without force [-3]
	GuestDied    Code = "guest-died"    // the domain went away in the middle of the operation [-24]
	Leftovers    Code = "leftovers"     // it worked, but something could not be cleaned up [0]
	Interrupted  Code = "interrupted"   // the caller's context ended [-22]
)

// Error makes a Code usable as a target of errors.Is.
func (c Code) Error() string { return strings.ReplaceAll(string(c), "-", " ") }

// rcs are libxl's error numbers where they are not ERROR_FAIL.
func (c Code) rc() int {
	switch c {
	case NoName, NameTaken, BadConfig, NoDevice, OutOfRange:
		return -6 // ERROR_INVAL
	case Unsupported:
		return -4 // ERROR_NI
	case NoAck, TimedOut:
		return -9 // ERROR_TIMEDOUT
	case NoPVControl:
		return -10 // ERROR_NOPARAVIRT
	case Locked:
		return -15 // ERROR_LOCK_FAIL
	case DeviceExists:
		return -17 // ERROR_DEVICE_EXISTS
	case Leftovers:
		return 0
	case NoDomain:
		return -21 // ERROR_DOMAIN_NOTFOUND
	case Interrupted:
		return -22 // ERROR_ABORTED
	case GuestDied:
		return -24 // ERROR_DOMAIN_DESTROYED
	}
	return -3 // ERROR_FAIL
}

// Error is what the Manager's methods return: what was tried, on what, why not,
// and what to do about it where we know. The cause stays reachable through
// errors.Is and errors.As.
type Error struct {
	Kind Code
	Op   string    // what was tried, as a user would say it: "create web1"
	Dom  abi.DomID // the domain it was tried on; 0 when there was none yet
	Err  error     // why not; nil when Kind says it all
	Hint string    // what to do; "" when we do not know
}

// Error says it in one line.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	b.WriteString(": ")
	if e.Err != nil {
		b.WriteString(e.Err.Error())
	} else {
		b.WriteString(e.Kind.Error())
	}
	if e.Hint != "" {
		b.WriteString(" (")
		b.WriteString(e.Hint)
		b.WriteString(")")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches the error's Code.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Kind
}

// Code returns the stable code of the failure.
func (e *Error) Code() string { return string(e.Kind) }

// RC returns the number that libxl has for such a failure: negative, as in the
// texts and exit statuses of xl.
func (e *Error) RC() int { return e.Kind.rc() }

// CodeOf returns the stable code in err's chain; "failed" when it has none and
// "" for nil.
func CodeOf(err error) string {
	if err == nil {
		return ""
	}
	var coded interface{ Code() string }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return string(Failed)
}

// RCOf returns libxl's number for err: 0 for nil, -3 (ERROR_FAIL) when the
// chain has none.
func RCOf(err error) int {
	if err == nil {
		return 0
	}
	var numbered interface{ RC() int }
	if errors.As(err, &numbered) {
		return numbered.RC()
	}
	return Failed.rc()
}

// fail builds an Error about a domain.
func fail(kind Code, id abi.DomID, op string, err error) *Error {
	return &Error{Kind: kind, Op: op, Dom: id, Err: err}
}

// failf builds an Error whose cause is a text.
func failf(kind Code, id abi.DomID, op, format string, args ...any) *Error {
	return &Error{Kind: kind, Op: op, Dom: id, Err: fmt.Errorf(format, args...)}
}

// Shortage is the cause of a NoMemory error, in numbers.
type Shortage struct {
	Need abi.KiB // what the guest takes, with paging pool and overhead
	Free abi.KiB // what Xen has free
	// Claimed is how much of that is set aside for other guests being built.
	Claimed abi.KiB
	// Givers could make room, in the order worth trying.
	Givers []Giver
}

// Giver is a domain that holds more memory than it must.
type Giver struct {
	ID     abi.DomID
	Name   string
	Has    abi.KiB
	Spare  abi.KiB // how much it could give: for dom0, down to its minimum
	Advice string  // the command that asks it to
}

// Missing is how much more must become free; 0 when it would be enough now, but was
// not when it was asked for, or not in pieces of the right size.
func (s *Shortage) Missing() abi.KiB {
	have := s.Free - min(s.Free, s.Claimed)
	return s.Need - min(s.Need, have)
}

func (s *Shortage) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "not enough memory: %d MiB free", s.Free/1024)
	if s.Claimed > 0 {
		fmt.Fprintf(&b, ", %d MiB of that set aside for guests being built", s.Claimed/1024)
	}
	fmt.Fprintf(&b, ", %d MiB needed", (s.Need+1023)/1024)
	if n := s.Missing(); n > 0 {
		fmt.Fprintf(&b, ", %d MiB short", (n+1023)/1024)
	}
	for i, g := range s.Givers {
		sep := ", "
		if i == 0 {
			sep = "; could give: "
		}
		fmt.Fprintf(&b, "%s%s up to %d of its %d MiB (%s)", sep, g.Name, g.Spare/1024, g.Has/1024, g.Advice)
	}
	return b.String()
}
