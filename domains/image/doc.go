// Package image turns the bytes of a guest kernel into an [Image]: what to
// load where, where to enter, and what the kernel says about itself in its Xen
// notes.
//
// A kernel comes as a plain ELF, as a bzImage, or as either inside gzip. A
// bzImage holds an ELF compressed by gzip, bzip2, xz, lzma, lzo, lz4 or zstd.
// [Unpack] gets at the ELF, [Parse] reads it, [Load] does both:
//
//	im, err := image.Load(file, size, image.Limits{})
//	if err != nil {
//		return err
//	}
//	boot, err := im.PVH() // or im.PV(): the rules of that kind of guest
//
// A kernel is hostile input: it may come out of a guest's own disk. Every
// offset is checked against the file, every count has a bound, and unpacking
// stops at [Limits]. The package does no I/O beyond reading what it is given.
package image
