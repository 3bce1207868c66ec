// Package stream is the codec of what Xen's tools save and migrate: the bytes of
// a save file or of a migration's channel as values, one record at a time, and
// back. It does no I/O beyond the io.Reader and io.Writer that it is given.
//
// Three layers share the bytes, each inside the one before: the header of xl with
// the guest's configuration, the records of libxl (version 2), and those of libxc
// (version 2 or 3) with the guest's memory and state. A [Reader] walks through all
// of them and gives each header and record as a [Body]; a [Writer] takes the same
// values, so that a copy is one loop:
//
//	for {
//		rec, err := r.Next()
//		if err == io.EOF {
//			return nil
//		}
//		if err != nil {
//			return err
//		}
//		if err := w.Write(rec.Body); err != nil {
//			return err
//		}
//	}
//
// A stream is hostile. Lengths and counts are checked before they size anything,
// bodies without a small limit are handed on as they come, and records must stand
// where the formats want them. What a Reader needs in memory depends neither on
// the guest nor on what the stream claims: a buffer for one record, at most
// [MaxHVMContext].
//
// Sources: docs/specs/libxc-migration-stream.pandoc and
// docs/specs/libxl-migration-stream.pandoc of Xen, tools/xl/xl.h for the outermost
// header; where those leave something open, what the genuine restore accepts and
// verify-stream-v2 demands.
package stream
