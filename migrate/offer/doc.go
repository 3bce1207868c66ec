// Package offer is what two ends of a migration tell each other before a byte of a
// guest moves. The sender's xl calls the receiver's once more, by the same way as for
// the migration itself, writes a Question to it and reads its Answer, both one JSON
// object. A genuine xl does not know the call and exits with a usage error, so that
// it costs it nothing; what can be known of it is read from its "xl info".
//
//	q, err := offer.Ask(ctx, m, id)
//	// send q, receive a
//	for _, f := range offer.Compare(m, q, a) {
//		fmt.Println(f)
//	}
//
// Nothing that comes from the other side is trusted: it is bounded, and only shown.
package offer
