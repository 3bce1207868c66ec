// Package calm has the watcher thread of Go's runtime look around every 10 ms, and not
// every 20 µs.
//
//	import _ "goxl/cmd/internal/calm"
//
// The watcher (sysmon) begins with the short pause, and returns to it whenever it took a
// processor from a thread in a system call and gave it to another one, which it does with
// a call that two of its looks find under way. Where a system call takes longer than
// that, as in the domain 0 of a Xen host, a command that lives for some milliseconds is
// mostly kept company, and its threads pass the work to each other: xl list had 77
// voluntary switches to 30 with this package, and eight creations of guests at a time
// took twice the processor time (docs/speed.md).
//
// The runtime offers nothing to say so. The kernel does: the watcher is a thread like any
// other, and how late it may be woken is the thread's timer slack. 10 ms are the longest
// pause that the watcher takes by itself.
package calm
