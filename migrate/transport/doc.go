// Package transport packs a byte stream full of pages for a slow way: pages of
// zeroes and pages that went a moment ago are only named, and the rest is
// compressed. It is a layer beneath the migration stream and knows nothing of it:
//
//	w := transport.NewWriter(conn)
//	io.Copy(w, guest) // pages in writes of whole pages
//	err := w.Close()  // conn stays open
//
//	r, packed, err := transport.Detect(conn)
//	io.Copy(out, r)      // the same bytes
//	err = packed.Finish() // and not one less
//
// # Format
//
// After eight bytes of magic come blocks, each with a header of eight: how it is
// packed, the length of its content (24 bits) and the CRC-32C of that and of the
// content, as it travels. The content, unpacked, is a list of pieces: a word with a kind and a
// number, little-endian, and what that takes.
//
//	kind        number       followed by
//	bytes       of bytes     these
//	pages       of pages     these, which both sides keep
//	zeroes      of pages     nothing
//	again       slot         nothing: a page that both sides keep
//
// Both sides keep the last 4096 pages, in the order in which they went. The last
// block's content is how many bytes all the pieces stand for. Memory is bounded on
// both sides, whatever a stream says: 16 MiB of pages and a block.
package transport
