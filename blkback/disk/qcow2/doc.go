// Package qcow2 reads and writes disk images of QEMU's qcow2 format, versions 2 and
// 3. It is written from the format's description (QEMU's docs/interop/qcow2.txt).
//
// Done: clusters of 512 bytes to 2 MiB, reference counts of every width, backing
// files, zero clusters, reading of compressed clusters (deflate and zstd), clusters
// shared with internal snapshots, discard. Refused by name: encryption, external
// data files, extended L2 entries, and every incompatible feature that is not known.
// Persistent dirty bitmaps are marked as out of date by the first opening for
// writing, as the format asks for.
//
// # Order of writes
//
// Mappings are written through, so a write that has returned is in the file and the
// death of the process loses nothing. A loss of power may lose any part of what was
// not flushed, and yet leave no error in the image, since:
//
//   - Clusters are taken from a reserve. Those in the reserve already have a
//     reference count of one and read as zeroes, both beyond a flush. One flush so
//     serves some megabytes of new clusters, and a crash leaks them at most.
//   - Where a new cluster replaces content that is not zero (a backing file's, a
//     snapshot's, a compressed cluster's), its data is flushed before the mapping is
//     written. Requests share such flushes.
//   - Reference counts fall only after a flush that followed the change of the
//     mapping; only then are holes made.
//   - A new table is flushed before anything points to it.
//
// # Locks
//
// Each request holds the range of guest clusters that it touches, shared for reads
// and for writes in place, alone for everything that changes a mapping. So a host
// cluster is never freed under a request. In the order in which they are taken:
// the range, mapW (changes of L1 and L2 tables), alloc.mu (reserve and reference
// counts), mapMu (what lookups read; never held during I/O).
package qcow2
