package main

import (
	"golang.org/x/sys/unix"

	"goxl/domains/logs"
)

// Each guest takes a terminal with two ends, a log, a kept output and a port.
const (
	filesPerGuest = 5
	filesOfOurs   = 1000
	mostGuests    = 0x7ff0
)

// raiseFileLimit makes room for as many guests as there can be.
func raiseFileLimit(log *logs.Logger) {
	const want = mostGuests*filesPerGuest + filesOfOurs
	var have unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_NOFILE, &have)
	if err == nil && have.Cur < want {
		err = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: want, Max: max(want, have.Max)})
	}
	if err != nil {
		log.Warn("the limit of open files stays; it may be too low for very many guests",
			logs.Uint64("limit", have.Cur), logs.Error(err))
	}
}
