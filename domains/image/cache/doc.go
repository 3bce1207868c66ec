// Package cache keeps unpacked kernels on disk. To unpack a distribution's
// kernel takes longer than to build a guest from it; the second guest of the
// same kernel need not wait for that.
//
//	c := cache.New(cache.Options{Dir: "/var/cache/goxl/kernels"})
//	defer c.Close()
//	k, err := c.Open("/boot/vmlinuz")
//	if err != nil {
//		return err
//	}
//	defer k.Close()
//	// build a guest from k.Image
//
// An entry is named after the SHA-256 of the packed file, so it is never stale:
// a changed kernel has another name. A symbolic link named after a file's
// identity (device, inode, size, times) saves computing the sum again. Entries
// are made whole under another name and renamed, so any number of processes may
// share a directory. The cache is bounded; what was not used for longest goes.
//
// Whoever can write to the directory chooses what guests boot. It must belong
// to the user that runs this and be writable by nobody else, or it is not used.
package cache
