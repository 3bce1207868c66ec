// Package wire is the codec of the xenstore protocol: packets, permission
// lists, string lists and error names, as bytes and as values. It does no I/O
// beyond reading from the io.Reader it is given.
//
// Every packet is a header of 16 bytes and a payload of at most MaxPayload:
//
//	b, err := wire.AppendPacket(nil, wire.Packet{
//		Op: wire.OpRead, ReqID: 1, Payload: wire.AppendStrings(nil, "/vm"),
//	})
//
// Sources: xen/include/public/io/xs_wire.h and docs/misc/xenstore.txt. The
// integers are in the byte order of the machine; every machine that we build for
// is little-endian.
package wire
