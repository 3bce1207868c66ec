// Package move holds the tests that take guests from one host to another, by ssh over
// a network of their own: ours and the genuine xl on either side, live and quick, and
// with a receiver that is killed or a network that is cut. They run in dom0 of the
// first of two lab hosts (see package lab); elsewhere they skip.
package move
