// Package savefile is what a saved guest looks like as a file: plain, as the genuine
// tools write it, or compressed, which they refuse and say why. Package sparse leaves
// out blocks of zeroes of either, which nobody notices.
//
//	w := savefile.NewWriter(f) // compressed
//	err := migrate.Save(ctx, m, id, w, migrate.SaveOptions{})
//	err = errors.Join(err, w.Close())
//
//	r, err := savefile.Open(f) // however it was saved
//	io.Copy(out, r)            // the plain file
//	err = r.Finish()
//
// # Format
//
// A compressed file begins with xl's header and the guest's configuration, as a plain
// one does, with one more bit in its mandatory flags: a reader that does not know it
// has to refuse the file, and the genuine xl says "Savefile has mandatory flag(s)
// 0x80000000 which are not supported; need newer xl". Behind the configuration stands
// what would stand there, packed by package transport: zstd, with pages of zeroes and
// repeated pages only named.
package savefile
