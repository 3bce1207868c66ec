package evtchn

import (
	"errors"
	"fmt"

	"goxl/xenctrl/abi"
)

// Names of the values that methods take.
type (
	DomID = abi.DomID
	Port  = abi.Port
)

// VIRQ is a virtual interrupt that Xen itself raises. Source: xen.h, VIRQ_*.
type VIRQ uint32

// The virtual interrupts. A global one has one holder at a time: binding what
// xenstored or another process holds is syscall.EEXIST.
const (
	VIRQTimer     VIRQ = 0
	VIRQDebug     VIRQ = 1
	VIRQConsole   VIRQ = 2
	VIRQDomExc    VIRQ = 3 // held by xenstored
	VIRQTBuf      VIRQ = 4
	VIRQConRing   VIRQ = 8
	VIRQPCPUState VIRQ = 9
	VIRQArgo      VIRQ = 11
	VIRQEnoMem    VIRQ = 12
)

// ErrOverflow says that more events came than the kernel could keep, so that
// some are lost. The queue was cleared; look at all ports and go on.
var ErrOverflow = errors.New("event channel queue overflowed")

// opError words a refused operation.
func opError(op string, err error) error { return fmt.Errorf("event channel: %s: %w", op, err) }
