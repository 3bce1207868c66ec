// Package direct takes what a migration carries off the channel that both sides talk
// over, to TCP connections of its own: several at once, each in TLS 1.3, with package
// lanes on top. The channel, ssh as a rule, stays what decides everything.
//
// The sender invites over the channel, says what certificate it will show, and how
// many connections it wants. The receiver listens, and answers with where, with its
// own certificate's fingerprint, and with a secret word. The sender connects, and only
// when all connections stand says over the channel which way the guest will come; else
// it comes over the channel, as if nothing had been. All that happens before anything
// is done to the guest.
//
// Each certificate is made for this one migration and is nobody else's: a side takes
// the other for the right one by its fingerprint, which came over the channel, and by
// nothing else. So the direct way is as safe as the channel. Where the channel itself
// cannot be trusted, both sides have certificates of an authority (Identity): then the
// other's must be signed by that, too.
//
//	w, err := direct.Invite(ctx, channel, direct.Options{Streams: 4, Say: say})
//	if w == nil && err == nil {
//		// everything over the channel; Say was told why
//	}
//
//	r, err := direct.Accept(ctx, channel, direct.Options{})
//	io.Copy(out, r)
//	r.Close()
//
// # Messages
//
// Each is eight bytes of magic, a length (4, little-endian) and a JSON object, at most
// 64 KiB. An Invitation comes first, then an Answer, then a Choice.
package direct
