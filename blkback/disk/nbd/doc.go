// Package nbd is a client of network block devices: the fixed newstyle protocol with
// simple replies, many requests in flight on one connection, over TCP or a unix
// socket. It follows the protocol's description (doc/proto.md of the NBD project).
//
// Not done: TLS (use a unix socket, or a tunnel), structured replies, and going on
// after a lost connection. The last is on purpose: a server that comes back may have
// lost writes that it had acknowledged and that were not flushed. So all requests
// fail from then on, as with a disk that was pulled out.
package nbd
