// Package ring is both halves of the ring that a split driver shares with its
// peer: requests go one way, responses the other, in the same slots.
//
// The backend's half treats the shared memory as hostile. A request is copied
// out once, so that what is checked is what is used; an index that cannot be
// true is ErrRing, after which the ring must not be used any more.
//
//	r, err := ring.NewBack(mem, ring.BlkSlot)
//	…
//	for { // an event came
//		for {
//			ok, err := r.Next(req)
//			if err != nil {
//				return err // close the device
//			}
//			if !ok {
//				break
//			}
//			r.Put(answer(req))
//		}
//		if r.Publish() {
//			notify()
//		}
//		if more, err := r.Arm(1); err != nil || !more {
//			break // sleep until the next event
//		}
//	}
//
// A half belongs to one goroutine. Its memory must stay mapped as long as it is
// used: run the goroutine inside the mapping's With.
//
// Source of layout and rules: xen/include/public/io/ring.h.
package ring
