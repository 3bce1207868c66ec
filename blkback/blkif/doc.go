// Package blkif is the block protocol as bytes: requests and responses in both
// layouts that guests use, and the rules that a request has to keep.
//
//	var r blkif.Request
//	blkif.X86_64.Decode(&r, slot)
//	n, status := r.Check(&disk, r.Segments[:r.Count])
//	…
//	blkif.X86_64.PutResponse(buf, r.ID, r.Op, blkif.OK)
//
// All data is in sectors of 512 bytes, whatever the disk's sector size is. Source:
// xen/include/public/io/blkif.h; the bytes are held to a compiler's by testdata.
package blkif
