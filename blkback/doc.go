// Package blkback serves virtual disks to guests: the backend of the block protocol,
// over any disk.Disk.
//
//	vbds, err := blkback.NewDriver(blkback.Options{Dir: "/run/goxl/blkback"})
//	if err != nil {
//		return err
//	}
//	m := backends.New(backends.Options{
//		Store: store, Xen: backends.Host(), Kind: "qdisk", FrontKind: "vbd", Driver: vbds,
//	})
//	err = m.Run(ctx)
//
// # How a request goes
//
// Each queue of a device has one goroutine, which alone touches the ring and waits for all
// that can happen at once. It copies a request out, notes it in the device's journal,
// checks it, has Xen copy the data of a write from the guest's pages into a buffer of whole
// pages, and has the kernel begin it (disk.Batch), or a worker do it, which makes one ReadAt
// or WriteAt. The answer takes the same way back. Copies of all requests that are there
// are made with one call, and in steady state nothing is allocated.
//
// Data is copied by Xen and never mapped. A mapping would cost dom0 a page-table
// change and a flush of all processors' translations per request, and leave the guest
// able to change data while a disk format looks at it. Persistent grants would trade
// that for a copy by ourselves, which is what Xen does here anyway, and for memory that
// stays granted; so they are not offered.
//
// # When this process is killed
//
// The journal is a file in memory that outlives the process: the requests that were
// taken and not answered. The next process attaches to the same ring, does these once
// more and goes on; the guest sees a pause. See Journal's rules in journal.go, and
// docs/backends.md for what is needed so that no write of the killed process comes
// late.
package blkback
