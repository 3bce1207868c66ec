// Package hostile is a guest that breaks the rules: its test boots a guest of Debian's
// kernel without frontends, whose only program plays the frontends' part against the
// daemons of domain 0 and does to them all that a guest can do, while another guest
// uses its disk and its network, and checks both.
//
// The program is the test's own binary under another name ([Program]). It shares pages
// by /dev/xen/gntalloc, makes event channels by /dev/xen/evtchn, writes nodes by
// /dev/xen/xenbus, and reaches the page of its own console by /dev/mem. For each
// misdeed it prints a line on its console:
//
//	hostile: disk/beyond-the-end: ok 5 requests refused
//	hostile: disk/index-jump: BAD the backend is in state 4 after 30s
//	hostile: done, 64 misdeeds
//
// The same misdeeds are done in memory, by tests of this package, netback and
// backends/console, where they can be looked at closely.
//
// What it can see itself it judges itself: the answers, the backend's state, and that
// pages of its own hold nothing but what was asked for. The test judges the daemons: that
// they are the same processes as before, in bounded memory, and have told of or counted
// each connection that they closed, in few lines; and that the other guest's disk,
// network and console went on, and nothing is left over.
//
// Most of the time goes to xenstore, step by step while a device connects, so that
// make test has a sample of the misdeeds; xenlab test --full and make matrix have all.
package hostile
