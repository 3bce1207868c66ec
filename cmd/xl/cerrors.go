package main

import (
	"errors"
	"strings"

	"golang.org/x/sys/unix"
)

// strerror is an error's text as C prints the errno in it, with a capital letter;
// the error's own text when it has none.
func strerror(err error) string {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	s := errno.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

// clientError is an error of the console client, which in the genuine tools is a
// program of its own, xenconsole: it exits with the errno.
func clientError(what string, err error) error {
	status := 1
	var errno unix.Errno
	if errors.As(err, &errno) {
		status = int(errno)
	}
	return &failure{status: status, text: "xenconsole: " + what + ": " + strerror(err)}
}
