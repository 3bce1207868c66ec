// Package vhd reads disk images of Microsoft's VHD format: fixed, dynamic and
// differencing ones. It follows the "Virtual Hard Disk Image Format Specification",
// version 1.0 of October 2006. All numbers are big-endian.
//
// A fixed image is its disk with a footer behind it, so that its bytes can also be
// written in place; of the other kinds this package only reads.
package vhd
