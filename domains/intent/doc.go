// Package intent keeps, on disk, what the creations of this host are about to
// make, so that what is left of one whose process was killed can be found and
// told from everything else.
//
// A creation takes note before it asks Xen for a domain:
//
//	note, err := intent.Begin(ctx, h, dir, intent.Record{Token: token, UUID: uuid, Name: "web1"})
//	// make a domain whose handle is token
//	err = note.Made(id)
//	// give it its uuid, and build the guest
//	err = note.Done()
//
// A note is a lock file. As long as its creation runs, the lock is held; the end
// of the process frees it. So a note whose lock is free, which [Stale] returns, is
// one of a creation that ended before it was finished. Its lines are JSON objects,
// later ones adding to earlier ones; each is written by one system call, and half
// a line counts as none.
//
// Nothing is flushed to a disk: the directory is in /run, and a host that goes
// down takes its domains along.
package intent
