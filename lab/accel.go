package lab

import "os"

// useKVM reports whether a lab should run under KVM. Xen needs a KVM whose
// guests get the processor's virtualisation, and on most machines one cannot
// tell without trying, so emulation is the rule: GOXL_ACCEL=kvm asks for KVM.
func useKVM() bool { return os.Getenv("GOXL_ACCEL") == "kvm" }
