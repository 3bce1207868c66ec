// Package xenctrl talks to the Xen hypervisor: a Handle has one method for each
// hypercall operation that a toolstack needs, with typed values in and out.
//
//	h, err := xenctrl.Open()
//	if err != nil {
//		return err
//	}
//	defer h.Close()
//	doms, err := h.Domains()
//
// One binary serves Xen 4.14 to 4.22. Open asks for the release, takes the
// numbers of its interface from a table and confirms them; the layouts that go
// with them are in package abi. What differs between releases is asked for by
// name, with Has.
//
// Xen gets only addresses of pages that cannot move (System.Alloc), never those
// of Go values. Memory of other domains is reached through a Mapping.
package xenctrl
