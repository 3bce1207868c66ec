// Mappage maps one page of a running guest and dumps its first bytes:
//
//	mappage 5          the page that the guest shares with Xen
//	mappage 5 0x100    a frame: the guest's own number for PVH and HVM, a machine frame for PV
package main

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"

	"goxl/xenctrl"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: mappage DOMID [FRAME]")
		os.Exit(2)
	}
	if err := dump(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "mappage:", err)
		os.Exit(1)
	}
}

func dump(domain string, frame []string) error {
	id, err := strconv.ParseUint(domain, 10, 15)
	if err != nil {
		return fmt.Errorf("domain id %q: %w", domain, err)
	}
	h, err := xenctrl.Open()
	if err != nil {
		return err
	}
	defer h.Close()
	info, err := h.DomainInfo(xenctrl.DomID(id))
	if err != nil {
		return err
	}
	gfn := info.SharedInfoFrame
	if len(frame) > 0 {
		n, err := strconv.ParseUint(frame[0], 0, 52)
		if err != nil {
			return fmt.Errorf("frame %q: %w", frame[0], err)
		}
		gfn = xenctrl.GFN(n)
	}
	m, err := h.MapForeign(info.ID, []xenctrl.GFN{gfn}, xenctrl.ProtRead)
	if err != nil {
		return err
	}
	defer m.Close()
	fmt.Printf("domain %d, frame %#x:\n", info.ID, uint64(gfn))
	return m.With(func(page []byte) error {
		fmt.Print(hex.Dump(page[:128]))
		return nil
	})
}
