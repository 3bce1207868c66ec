package domains

import (
	"errors"
	"fmt"

	"goxl/domains/config"
)

// refuse names the first thing in a configuration that this toolstack does not
// do (yet), and the contradictions that libxl would refuse.
func refuse(s *config.Spec) error {
	op := "create " + s.CInfo.Name.Value()
	no := func(what, hint string) error {
		return &Error{Kind: Unsupported, Op: op, Err: fmt.Errorf("%s: %w", what, errors.ErrUnsupported), Hint: hint}
	}
	b := &s.BInfo
	switch {
	case s.CInfo.Type == config.TypeHVM:
		return no("HVM guests are not implemented yet", `use type="pvh" or type="pv"`)
	case s.CInfo.Type != config.TypePV && s.CInfo.Type != config.TypePVH:
		return failf(BadConfig, 0, op, "it has no type")
	case len(s.PCIDevs) > 0:
		return no("pci= (PCI passthrough) is not implemented yet", "remove it, or create the guest with the genuine xl")
	case len(s.DTDevs) > 0:
		return no("dtdev= is for Arm hosts", "remove it")
	case len(s.USBCtrls)+len(s.USBDevs) > 0:
		return no("usbctrl= and usbdev= are not implemented yet", "remove them, or create the guest with the genuine xl")
	case len(s.VTPMs) > 0:
		return no("vtpm= is not implemented yet", "remove it, or create the guest with the genuine xl")
	case len(s.VDispls)+len(s.VSnds) > 0:
		return no("vdispl= and vsnd= are not implemented yet", "remove them, or create the guest with the genuine xl")
	case len(s.PVCallsIfs) > 0:
		return no("pvcalls= is not implemented yet", "remove it, or create the guest with the genuine xl")
	case len(s.Virtios) > 0:
		return no("virtio= is not implemented yet", "remove it, or create the guest with the genuine xl")
	case len(b.IRQs) > 0:
		return no("irqs= is not implemented yet", "remove it, or create the guest with the genuine xl")
	case b.DeviceModelStubdom == config.True:
		return no("device_model_stubdomain_override is for HVM guests", "remove it")
	case s.CInfo.Passthrough != config.PassthroughDefault && s.CInfo.Passthrough != config.PassthroughDisabled:
		return no("passthrough= is not implemented yet", "remove it, or create the guest with the genuine xl")
	case s.CInfo.Name.Value() == "":
		return failf(BadConfig, 0, "create a guest", "it has no name")
	case b.TSCMode == config.TSCNativeParavirt:
		return no(`tsc_mode="native_paravirt" has been removed from Xen`, "remove it")
	}
	return contradictions(op, s)
}

func contradictions(op string, s *config.Spec) error {
	b := &s.BInfo
	pod := s.CInfo.Type != config.TypePV && b.TargetMem.IsSet() && b.MaxMem.IsSet() && b.TargetMem.Value() < b.MaxMem.Value()
	switch {
	case pod && len(b.VNUMANodes) > 0:
		return failf(BadConfig, 0, op, "memory= below maxmem= (populate on demand) cannot go with vnuma=")
	case s.CInfo.Type == config.TypePV && len(b.VNUMANodes) > 0:
		return failf(BadConfig, 0, op, "vnuma= is not supported for PV guests")
	case s.CInfo.Type != config.TypePV && b.NestedHVM == config.True && b.Altp2m != config.Altp2mDisabled:
		return failf(BadConfig, 0, op, "nestedhvm= and altp2m= cannot go together")
	case pod && b.Altp2m != config.Altp2mDisabled:
		return failf(BadConfig, 0, op, "memory= below maxmem= (populate on demand) cannot go with altp2m=")
	case !b.Kernel.IsSet() && !b.Bootloader.IsSet():
		return &Error{Kind: BadConfig, Op: op, Err: errors.New("it has neither kernel= nor bootloader="), Hint: "a PV or PVH guest needs one of them"}
	case b.Bootloader.IsSet() && len(s.Disks) == 0:
		return failf(BadConfig, 0, op, "bootloader= needs a disk to boot from")
	}
	return nil
}
