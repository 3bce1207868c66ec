// Package driverdomain holds the test of a driver domain: a guest without any of Xen's
// tools that serves the disks and network interfaces of another guest with goxl's
// blkback, netback and xl devd, and with its own kernel's disks.
package driverdomain
