package stream

// What both ends of "xl migrate" say to each other around the stream. The sender
// reads Banner, writes the stream, reads Ready, writes Go, reads Report and one
// byte more: 0, or not 0 when the guest could not be started there. After such a
// byte the receiver writes Go back, and the guest belongs to the sender again.
//
// All but the banner end with a NUL, which is compared as well.
// Source: tools/xl/xl.h and xl_migrate.c.
const (
	Banner = "xl migration receiver ready, send binary domain data.\n"
	Ready  = "domain received, ready to unpause\x00"
	Go     = "domain is yours, you are cleared to unpause\x00"
	Report = "my copy unpause results are as follows\x00"
)
