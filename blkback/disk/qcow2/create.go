package qcow2

import (
	"encoding/binary"
	"fmt"
)

// Of an image that Create makes: clusters of 64 KiB and counts of 16 bits, as qemu-img.
const (
	createBits  = 16
	createOrder = 4
)

// Create makes f, which is empty, an image of an empty disk of size bytes, a multiple of
// 512: version 3, with no features that older readers lack. F stays the caller's. Source
// of the layout: docs/interop/qcow2.txt of QEMU.
func Create(f File, size int64) error {
	const cluster = 1 << createBits
	entries := (size + cluster*cluster/8 - 1) / (cluster * cluster / 8) // an L2 table is a cluster of them
	if size <= 0 || size%512 != 0 || entries*8 > maxL1 {
		return fmt.Errorf("create a qcow2 image of a disk of %d bytes: no such size", size)
	}
	// The header, the table of reference counts, the only block of it, the L1 table.
	clusters := 3 + (entries*8+cluster-1)/cluster
	be := binary.BigEndian
	head := make([]byte, cluster)
	be.PutUint32(head, magic)
	be.PutUint32(head[4:], 3)
	be.PutUint32(head[20:], createBits)
	be.PutUint64(head[24:], uint64(size))
	be.PutUint32(head[36:], uint32(entries))
	be.PutUint64(head[40:], 3*cluster)
	be.PutUint64(head[48:], cluster)
	be.PutUint32(head[56:], 1)
	be.PutUint32(head[96:], createOrder)
	be.PutUint32(head[100:], 104) // its length
	table, counts := make([]byte, cluster), make([]byte, cluster)
	be.PutUint64(table, 2*cluster)
	for i := range clusters {
		be.PutUint16(counts[2*i:], 1)
	}
	if err := f.Grow(clusters * cluster); err != nil {
		return err
	}
	for i, b := range [][]byte{head, table, counts} {
		if _, err := f.WriteAt(b, int64(i)*cluster); err != nil {
			return fmt.Errorf("create a qcow2 image: %w", err)
		}
	}
	return f.Flush()
}
