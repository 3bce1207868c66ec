// Package together holds the tests that put both toolstacks, and accidents, on one
// host at a time: commands of both at random beside each other, what a watcher of
// xenstore sees of either, and what is left when anything may be killed at any
// moment. The tests run inside dom0 of a lab host (see package lab); elsewhere they
// skip. docs/coexistence.md says what they have shown.
package together
