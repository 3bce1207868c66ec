// Package devices holds the tests of guests that have all their devices from our
// daemons, while these are killed. The tests run inside dom0 of a lab host (see package
// lab); elsewhere they skip. docs/backends.md says what the daemons promise.
package devices
