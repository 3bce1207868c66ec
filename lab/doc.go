// Package lab runs a real Xen with a Linux dom0 on any Linux machine, under
// QEMU, for tests and demonstrations.
//
// A lab is one or more hosts that share a network segment. Each host boots a
// read-only image made of Debian's packages (see [Cache]); what it writes goes
// to a throw-away overlay, so hosts and runs never disturb each other. Commands
// run in dom0 over an in-process ssh client.
//
//	cache, err := lab.OpenCache("")
//	...
//	image, err := cache.Image(ctx, lab.Xen417, nil)
//	...
//	l, err := lab.Up(ctx, image, lab.Options{Hosts: 1})
//	...
//	defer l.Close()
//	out, err := l.Hosts[0].Output(ctx, "xl list")
//
// QEMU's software emulation is slow but needs nothing of the machine; where
// nested virtualisation works, KVM is used.
package lab
