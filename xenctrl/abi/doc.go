// Package abi holds the identifiers of Xen's interface and the byte layouts of
// its hypercall arguments, keyed by the version of the running hypervisor.
//
// It does no I/O. Values are structs for people; Append functions turn them
// into the bytes that a given release reads, Parse functions do the opposite.
// Every layout is checked against the public headers of that release by golden
// bytes in testdata.
package abi
