// Package vhdx reads disk images of Microsoft's VHDX format, fixed and dynamic ones.
// It follows "[MS-VHDX]: Virtual Hard Disk v2 (VHDX) File Format". All numbers are
// little-endian.
//
// An image whose last writer did not end properly has changes of its tables in a log.
// They are replayed in memory, over what is read from the file; the file stays as it
// is. Differencing images are refused.
package vhdx
