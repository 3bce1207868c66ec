// Package mirror is how a disk that blkback serves is copied while its guest writes to
// it: blkback notes which blocks are written, and tells them over a socket of its own,
// with what they hold.
//
//	c, err := mirror.Open(ctx, "/run/goxl/blkback", mirror.ID{Dom: 7, Dev: 51712})
//	…
//	set := c.NewSet()             // all blocks, at first
//	err = c.Dirty(ctx, set)       // later: those that were written since the last time
//	data, zero, err := c.Read(ctx, first, n)
//	err = c.Settle(ctx)           // the guest stands: wait for what it had begun
//
// # What a copy may rely on
//
// A block is marked after each write to it has ended and before the guest hears of that,
// and Dirty clears a mark before it returns. So a block that is read after a Dirty is as
// old as that Dirty at most: what is written later, or under way meanwhile, shows in the
// next one. After the guest was suspended, a Settle, a Dirty and a Read of what that says
// leave a copy that has everything the guest was told is written.
//
// # What is noted lives as long as the connection
//
// It begins with Open and ends with Close, with the process that asked, and with blkback.
// So there is nothing to clean up, and a blkback that was killed and started again cannot
// be taken for the one before: the connection is lost (ErrLost), and all has to be copied
// anew.
//
// The socket lies in blkback's state folder and is for root only.
package mirror
