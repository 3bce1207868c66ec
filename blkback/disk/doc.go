// Package disk is what stands behind a virtual block device: raw files, block
// devices and image formats, all as one kind of thing that reads, writes, flushes
// and discards.
//
//	d, info, err := disk.Open(ctx, "/srv/guest.qcow2", disk.Options{Format: disk.QCOW2, Direct: true})
//	if err != nil {
//		return err
//	}
//	defer d.Close()
//	n, err := d.ReadAt(page, 4096)
//
// # What may be trusted
//
// A guest owns every byte of its disk, so the bytes of an image are hostile. The
// format is never guessed: a guest whose disk is raw could write an image header
// into it and have the next start follow that. A backing file that an image names is
// only opened if the operator's [Backing] allows it. All numbers of a header are
// checked against the size of the file before they size anything.
//
// # What survives what
//
// A write that has returned survives the death of this process: nothing is kept
// back in memory. Only what was written before a Flush returned survives the death
// of the machine. An image whose machine or process dies at any moment is left
// without errors in its structure; clusters may leak, which costs room but no data.
package disk
