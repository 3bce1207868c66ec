// Package coredump writes the memory and the registers of a PV or PVH guest to an
// ELF file, byte for byte as the genuine `xl dump-core` does, for crash(8), gdb
// and whatever else reads "Xen domain core dumps".
//
//	d, err := coredump.Open(h, id)
//	if err != nil {
//		return err
//	}
//	_, err = d.Write(ctx, w) // d.Size() bytes
//
// The guest is not paused: who wants a consistent picture pauses it first. What
// it changes meanwhile may be seen before or after the change; memory that it
// gives back is missing, and the file has pages of zeros for it at the end.
//
// The format is that of docs/misc/dump-core-format.txt in Xen's sources, as
// tools/libs/guest/xg_core.c fills it in. Everything that the guest can set, its
// table of frames above all, is read once and bounded.
package coredump
