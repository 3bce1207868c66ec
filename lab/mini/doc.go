// Package mini builds the lab's mini guest: a kernel of our own, a few dozen KiB,
// that boots in a fraction of a second in 16 MiB, as PV and as PVH from one file.
// Tests use it where Linux would only cost time, and where they want to know what
// a guest saw: it fills its memory with a pattern that it can check, counts ticks,
// follows the balloon, suspends, resumes, and ends by itself in every way there is.
// Its sources are in kernel; docs/lab.md lists its options and commands.
package mini
