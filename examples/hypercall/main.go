// Hypercall makes one hypercall by hand, below every typed method: it asks Xen
// for its extra version string (xen_version, sub-operation 1).
//
// It shows the two rules of the seam: arguments are numbers or addresses within
// memory from Alloc, and results of that memory are copied out.
package main

import (
	"bytes"
	"fmt"
	"os"

	"goxl/xenctrl"
)

// Source: xen/include/public/xen.h and version.h.
const (
	xenVersion   = 17 // __HYPERVISOR_xen_version
	extraVersion = 1  // XENVER_extraversion: 16 bytes of text
)

func main() {
	text, err := askExtraVersion()
	if err != nil {
		fmt.Fprintln(os.Stderr, "hypercall:", err)
		os.Exit(1)
	}
	fmt.Println("extra version:", text)
}

func askExtraVersion() (string, error) {
	sys, err := xenctrl.OpenSystem()
	if err != nil {
		return "", err
	}
	defer sys.Close()
	buf, err := sys.Alloc(1)
	if err != nil {
		return "", err
	}
	defer sys.Free(buf)
	if _, err := sys.Hypercall(xenVersion, [5]uint64{extraVersion, buf.Addr()}); err != nil {
		return "", fmt.Errorf("ask for the extra version: %w", err)
	}
	text, _, _ := bytes.Cut(buf.Bytes()[:16], []byte{0})
	return string(text), nil
}
