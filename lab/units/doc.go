// Package units holds the test of the daemons' systemd units: each is started by a
// real systemd, with all that its unit takes away from it, and serves a guest.
//
// The lab's dom0 has no systemd of its own. The test starts one as the first process
// of a process, mount and control group namespace of dom0 (not of a user namespace:
// capabilities, devices and seccomp are the real ones), with no units but ours and the
// few that every system has. Only Debian 13's image has systemd.
package units
