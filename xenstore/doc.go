// Package xenstore is a client of Xen's configuration store, over the daemon's
// socket, the kernel's device or any net.Conn.
//
//	c, err := xenstore.Dial(ctx)
//	if err != nil {
//		return err
//	}
//	defer c.Close()
//	name, err := c.Read(ctx, "/local/domain/0/name")
//
// Several changes that belong together go into a transaction, and requests that
// need not wait for each other into a Batch, since round trips are what costs:
//
//	err = c.Update(ctx, func(tx *xenstore.Tx) error {
//		var b xenstore.Batch
//		b.Write(dir+"/backend-id", "0")
//		b.Write(dir+"/state", "1")
//		b.SetPerms(dir, []wire.Perm{{Dom: 7}, {Access: wire.Read, Dom: 0}})
//		return tx.Send(ctx, &b)
//	})
//
// A Watch reports changes; Await reads a node until it has a wanted value.
//
// The protocol is in the sub-package wire; the sub-package server is a store in
// this process, for tests and examples. Source of the protocol:
// docs/misc/xenstore.txt and xen/include/public/io/xs_wire.h.
package xenstore
