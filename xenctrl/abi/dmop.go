package abi

// Operations of dm_op, whose interface is stable. Source: hvm/dm_op.h.
const (
	DMCreateIOReqServer  = 1
	DMModifiedMemory     = 11
	DMInjectEvent        = 13
	DMRemoteShutdown     = 16
	DMPinMemoryCacheAttr = 18
	DMNrVCPUs            = 20 // 4.15

	DMOpSize = 32 // sizeof(struct xen_dm_op)
)

// AppendDMOp appends a struct xen_dm_op; payload is at most 24 bytes.
func AppendDMOp(b []byte, op uint32, payload []byte) []byte {
	b = append32(b, op, 0)
	b = append(b, payload...)
	return pad(b, DMOpSize-8-len(payload))
}

// AppendDMModifiedMemory appends the payload of modified_memory; the extents go
// into a second buffer.
func AppendDMModifiedMemory(b []byte, extents uint32) []byte { return append32(b, extents, 0) }

// AppendDMExtent appends one extent of modified_memory.
func AppendDMExtent(b []byte, pages uint32, first PFN) []byte {
	return append64(append32(b, pages, 0), uint64(first))
}

// AppendDMPinCacheAttr appends the payload of pin_memory_cacheattr.
func AppendDMPinCacheAttr(b []byte, start, end uint64, typ uint32) []byte {
	return append32(append64(b, start, end), typ, 0)
}

// AppendDMRemoteShutdown appends the payload of remote_shutdown.
func AppendDMRemoteShutdown(b []byte, reason ShutdownReason) []byte {
	return append32(b, uint32(reason))
}
