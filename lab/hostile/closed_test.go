package hostile_test

import "testing"

func TestClosedIn(t *testing.T) {
	for line, want := range map[string]int{
		"hostile: net/index-backwards: ok closed: transmit ring: shared ring is broken (1s)": 1,
		"hostile: net/bad-nodes: ok 12 connections refused (2m15.075s)":                      12,
		"hostile: net/bad-packets: ok 14 packets refused (17.32s)":                           0,
		"hostile: disk/hammer: ok 1760 requests (2.329s)":                                    0,
		"hostile: disk/states: BAD the backend closed":                                       0,
	} {
		if n := closedIn(line); n != want {
			t.Errorf("closedIn(%q) = %d, want %d", line, n, want)
		}
	}
}
