// Package devd is the hotplug daemon of a driver domain: it does for the devices that
// the domain serves what the toolstack does for those of its own domain.
//
//	set := device.New(device.Options{Store: store, Host: host, Self: self})
//	err := devd.Run(ctx, devd.Options{Store: store, Devices: set})
//
// A toolstack that gives a guest a device of another domain (backend=) writes its nodes
// and waits until a backend there is ready, no more. Run sees the nodes below this
// domain's backend/. Once a backend waits for its device it runs the hotplug script,
// whose answer, hotplug-status, lets the backend connect. When the backend is closed and
// the toolstack wants it no more, Run takes the host's side down and removes the nodes,
// for which the toolstack waits. Disk images (qdisk), which libxl's daemon has a QEMU
// serve, are left to goxl's blkback.
//
// Xenstore is all that Run remembers by: a device that an earlier daemon has plugged is
// taken over as it is. It makes no hypercall, and needs xenstore only, since the kernel of
// a driver domain may refuse it the rest.
package devd
