// Package server is a xenstored in this process: the tree with permissions and
// quotas, transactions that detect conflicts by node, watches in the order of
// the C daemon, directories in parts, and the domains it was told of. Tests and
// examples use it; it maps no rings, since its domains are connections:
//
//	srv := server.New(server.Options{})
//	defer srv.Close()
//	c, err := xenstore.Dial(ctx, xenstore.WithConn(srv.Pipe(0)))
//
// It can also serve a unix socket, for the genuine tools and for other processes.
// Connections there are dom0's, as with the real daemon.
//
// Behaviour follows the C xenstored of Xen 4.17 (tools/xenstore) and
// docs/misc/xenstore.txt. One difference is meant: equal watch events are never
// merged, so that clients meet every one of them.
package server
