package stream

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// HVMContext is an HVM_CONTEXT record: the state of an HVM or PVH guest's vcpus
// and of the devices that Xen emulates, as the domctl gethvmcontext gives it.
type HVMContext []byte

// Type returns TypeHVMContext.
func (HVMContext) Type() Type { return TypeHVMContext }

// HVMState is one piece of an HVMContext.
type HVMState struct {
	Code     uint16 // what it is; String knows the names
	Instance uint16 // of which vcpu or device
	Data     []byte // part of the context
}

var hvmStateNames = [...]string{
	"END", "HEADER", "CPU", "PIC", "IOAPIC", "LAPIC", "LAPIC_REGS", "PCI_IRQ", "ISA_IRQ", "PCI_LINK", "PIT",
	"RTC", "HPET", "PMTIMER", "MTRR", "VIRIDIAN_DOMAIN", "CPU_XSAVE", "VIRIDIAN_VCPU", "VMCE_VCPU", "TSC_ADJUST",
	"CPU_MSR",
}

// String is the name in Xen's public header arch-x86/hvm/save.h.
func (s HVMState) String() string {
	if int(s.Code) < len(hvmStateNames) {
		return hvmStateNames[s.Code]
	}
	return fmt.Sprintf("code %d", s.Code)
}

// All goes over the pieces of c up to its END, which must be its last bytes. A
// context that is not such a chain ends with an error of class ErrStream.
// Source: hvm/save.h, struct hvm_save_descriptor.
func (c HVMContext) All() iter.Seq2[HVMState, error] {
	return func(yield func(HVMState, error) bool) {
		for b := []byte(c); ; {
			s, rest, err := cutHVMState(b, len(c)-len(b))
			if err != nil {
				yield(HVMState{}, err)
				return
			}
			if s.Code == 0 {
				if n := len(s.Data) + len(rest); n > 0 {
					yield(HVMState{}, bad("hvm context: %d bytes in or after its END", n))
				}
				return
			}
			if !yield(s, nil) {
				return
			}
			b = rest
		}
	}
}

// cutHVMState takes the first piece of b, which stands at offset at.
func cutHVMState(b []byte, at int) (s HVMState, rest []byte, err error) {
	if len(b) < 8 {
		return s, nil, bad("hvm context: it ends at offset %#x without an END", at)
	}
	le := binary.LittleEndian
	s.Code, s.Instance = le.Uint16(b), le.Uint16(b[2:])
	n := le.Uint32(b[4:])
	if b = b[8:]; uint64(n) > uint64(len(b)) {
		return s, nil, bad("hvm context: %v at offset %#x has %d bytes, %d are left", s, at, n, len(b))
	}
	s.Data = b[:n:n]
	return s, b[n:], nil
}
