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
//	hostile: done, 61 misdeeds
//
// The same misdeeds are done in memory, by tests of this package, netback and
// backends/console, where they can be looked at closely.
//
// What it can see itself it judges itself: the answers, the backend's state, and that
// pages of its own hold nothing but what was asked for. The test judges the daemons.
package hostile
