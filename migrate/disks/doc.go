// Package disks takes the disks of a guest along when it moves from one goxl to another:
// those that blkback serves, raw and qcow2.
//
// # Going
//
// The Sender reads each disk from blkback (package blkback/mirror) and writes records of
// package migrate/stream: all of it while the guest runs, then, in rounds, what the guest
// wrote meanwhile, until that is little; the last of it when the guest was suspended. A
// block that holds what was sent of it before is not sent again, and the disk that the
// receiver begins with is empty, so zeroes are sent only where something else was.
//
//	s := &disks.Sender{Dir: "/run/goxl/blkback", Disks: going, Write: w.Write}
//	err := s.Open(ctx)      // from here on writes are noted
//	err = s.Converge(ctx)   // the guest runs
//	err = s.Finish(ctx)     // the guest is suspended
//
// What the daemon has noted ends with it. When it ends while the guest runs, the Sender
// waits for the next one and reads everything anew; what has not changed is not sent.
//
// # Coming
//
// The Receiver writes into a file of its own, behind whose name stands .goxl-incoming,
// reads back what it wrote, and gives the file its name once it is whole, on the medium
// and of the right checksum. Until Keep it can be undone: then nothing is left, and a file
// that was replaced is back.
//
// # The checksum
//
// Both sides keep a SHA-256 of each block, of 64 KiB up to 128 GiB and larger ones beyond;
// one of zeroes has none. The checksum of the disk is the SHA-256 of its size, the block's
// size and all of these. The sender's is of what it has read last of each block, the
// receiver's of what it has read back from its file.
package disks
