// Command xl is a drop-in for Xen's xl: the same commands, options, output bytes
// and exit statuses, for Xen 4.14 to 4.22.
//
//	xl create guest.cfg
//	xl list
//	xl --strict --json-errors pause guest
//
// Commands, their help and the rules by which a name may be cut short are those
// of the xl of the running release. What the genuine xl lacks is apart: our own
// global options (--stats, --strict, --json-errors) and verbs match by their full
// name only and stand in a block of their own at the end of "xl help".
//
// Each command is in a file of its own: its option table, its text as pure
// functions from values to bytes, and one call of domains.Manager. Results go to
// stdout; everything else goes to stderr, where a line "xl: what was tried, on
// what, why not (what to do) [code]" takes the place of libxl's log lines before
// the text that the genuine xl ends with.
package main
