// Package lanes carries one byte stream over several connections, packed on each by
// package transport, and goes on when one of them is lost and comes back.
//
//	s := lanes.NewSender(ctx, lanes.Options{Token: token}, dial, conns)
//	io.Copy(s, guest)
//	err := s.Close() // the receiver has it all
//
//	r := lanes.NewReceiver(lanes.Options{Token: token}, len(conns))
//	go r.Attach(conn) // for each connection that comes, now or later
//	io.Copy(out, r)
//
// # Order
//
// The stream is cut into chunks of at most 1 MiB, numbered as they stand in it. Each
// goes to the lane that is idle first. The receiver hands chunk n out only after
// chunk n-1, whatever lane either came by and however late. So its reader sees the
// bytes in the order in which they were written: a page that was sent in a later
// round is put in place after the same page of an earlier one, always, and one round
// has ended before the next begins. A barrier between the rounds would promise less:
// nothing of the order within a round.
//
// It cannot come to a standstill: a lane carries its chunks in rising order, so of
// all chunks that were not handed out yet the lowest is the first of its lane, and
// the room that each lane has is enough for it.
//
// # Loss
//
// What a lane carries are frames, numbered from 0 in each lane. The sender keeps a
// frame until the receiver said that it has it, at most 8 MiB of them in each lane.
// When a connection is lost, or nothing was heard for Options.Stall, the sender makes
// another. The receiver says in its welcome how many frames of that lane it has, and
// the sender goes on with the next one. So each frame is unpacked once and in order,
// as the packing of the next relies on those before. A lane that gets nothing across
// for Options.Patience ends the stream, on both sides.
//
// Who is at the other end has to be made sure of before: a connection is expected to
// keep what it carries secret and whole. All that comes from it is bounded and checked
// all the same.
//
// # Format
//
// All numbers are little-endian. The sender begins a connection with a hello, the
// receiver answers it with a welcome:
//
//	hello    "goxllan1", token (16), lane (2), lanes (2), 0 (4)
//	welcome  "goxllan1", frames of the lane that the receiver has (8)
//
// Then the sender sends frames, and the receiver now and then how many it has (8).
//
//	frame    length (4), kind (4), bytes that it stands for (4), 0 (4), number (8), chunk (8), content
//
// Content is what package transport made of the chunk: whole blocks. The last frame
// of the stream stands for no bytes and has the length of everything (8) as its
// content. A frame that only says that the sender is there has no number and no
// content.
package lanes
