// Package move holds the tests that take guests from one host to another, by ssh over
// a network of their own: ours and the genuine xl on either side, live and quick, and
// over the -s command or directly, with either side killed, a network or a
// connection that is cut, or the -s command that ends at a message. They run in dom0 of the
// first of two lab hosts (see package lab); elsewhere they skip.
package move
