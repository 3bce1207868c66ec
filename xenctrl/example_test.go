package xenctrl_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// List the domains of the host. The example runs on an in-memory Xen; on a Xen
// host, xenctrl.Open returns the handle.
func ExampleHandle_Domains() {
	m, done := machine()
	defer done()
	m.AddDomain(7)
	h := m.Handle()

	doms, err := h.Domains()
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range doms {
		fmt.Printf("domain %d: %d vcpus, paused %v\n", d.ID, d.OnlineVCPUs, d.Paused())
	}
	// Output:
	// domain 0: 4 vcpus, paused false
	// domain 7: 1 vcpus, paused true
}

// Make a domain, give it a page of memory, and write to it.
func ExampleHandle_MapForeign() {
	m, done := machine()
	defer done()
	h := m.Handle()

	id, err := h.CreateDomain(&xenctrl.CreateDomain{
		MaxVCPUs: 1, MaxGrantFrames: abi.HostDefault, MaxMaptrackFrames: abi.HostDefault,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer h.DestroyDomain(context.Background(), id)
	if err := errors.Join(h.SetMaxVCPUs(id, 1), h.SetMaxMem(id, 1024)); err != nil {
		log.Fatal(err)
	}
	mfn := make([]xenctrl.MFN, 1)
	if n, err := h.Populate(context.Background(), id, []xenctrl.PFN{0}, 0, 0, mfn); err != nil || n != 1 {
		log.Fatal("no memory: ", err)
	}
	page, err := h.MapForeign(id, []xenctrl.GFN{xenctrl.GFN(mfn[0])}, xenctrl.ProtReadWrite)
	if err != nil {
		log.Fatal(err)
	}
	defer page.Close()
	err = page.With(func(b []byte) error {
		copy(b, "written by domain 0")
		fmt.Printf("%d bytes, %q\n", len(b), b[:19])
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: 4096 bytes, "written by domain 0"
}

// Tell a domain that is gone from other failures.
func ExampleOpError() {
	m, done := machine()
	defer done()
	h := m.Handle()

	err := h.SetMaxMem(99, 1024)
	fmt.Println(err)
	fmt.Println(errors.Is(err, xenctrl.ErrNoDomain))
	// Output:
	// set max mem: domain 99: no such process
	// true
}
