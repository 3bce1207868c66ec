// Package acpi makes the ACPI tables of a PVH guest: what its processors are,
// and that nearly all other hardware of a PC is absent.
//
//	t, err := acpi.New(acpi.Config{VCPUs: 4, RSDP: 0})
//	for _, m := range t.Modules {
//		// copy m.Data to guest-physical address m.Addr
//	}
//
// The set of tables, their addresses and contents are those that Xen's own
// tools give to a PVH guest (tools/libacpi), so that a guest finds the same
// machine whoever built it. The processors' AML is emitted here, for as many
// processors as the guest has. The package is pure.
package acpi
