// Package uring is the part of Linux's io_uring that a disk needs: many reads and writes
// are begun by one system call, and those that have ended are learnt of by another.
//
// A request under way holds its open file, locks of it included, and ends by itself when
// the process is killed: who can take the file's lock afterwards knows that none is left.
//
// Layouts and numbers are those of linux/io_uring.h. It needs Linux 5.6.
package uring
