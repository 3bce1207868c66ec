// Package device turns descriptions of a guest's devices into xenstore nodes,
// attaches and detaches them, and lists what is there.
//
// Every device has a frontend directory that the guest uses, a backend directory
// that a driver, a daemon or QEMU uses, and a directory below /libxl that only
// the toolstack sees and that is the authority on what exists. All three are
// written in one transaction, in the order and with the permissions that libxl
// uses, so that each toolstack can take down what the other one made.
//
//	set := device.New(device.Options{Store: store, Hotplug: hotplug})
//	dev, err := set.AddDisk(ctx, dom, &device.Disk{
//		VDev: "xvdb", Target: "/srv/data.img", Writable: true,
//	}, device.AddOptions{Type: device.PVH})
//	…
//	err = set.Remove(ctx, dev, device.Safe)
//
// Sources of the layout: tools/libs/light/libxl_device.c, libxl_disk.c,
// libxl_nic.c, libxl_console.c, libxl_vkb.c and libxl_9pfs.c of Xen, and
// docs/misc/xenstore-paths.pandoc.
package device
