// Package backends runs the serving halves of split drivers: it finds the devices
// that the toolstack asks for, leads each through the states of xenbus, and sees to
// it that a device gives back all that it holds of its frontend.
//
// A driver says how devices of one kind are made; a Manager does the rest:
//
//	m := backends.New(backends.Options{
//		Store: store, Xen: backends.Host(), Kind: "vif", FrontKind: "vif", Driver: vifs,
//	})
//	err := m.Run(ctx) // until ctx ends; then every device has finished what it began
//
// Each device has one goroutine, which calls the methods of its Device one after the
// other and runs Serve beside itself while the device is connected. What a device
// holds of the other domain, mapped pages and event channels, it gets from its Link,
// which takes all back when Serve has returned.
//
// Paths are made from numbers, never from what a node says: a guest can write its
// own nodes (XSA-175, XSA-178).
package backends
