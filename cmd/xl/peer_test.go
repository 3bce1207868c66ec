package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"goxl/migrate"
	"goxl/migrate/disks"
)

func TestWayTo(t *testing.T) {
	for _, tt := range []struct {
		name          string
		o             migrating
		g             globals
		host          string
		receive, bare string
	}{
		{"ssh", migrating{ssh: "ssh"}, globals{}, "h", "exec ssh h xl migrate-receive", "ssh h xl"},
		{"with options of both", migrating{ssh: "ssh -p 7", unwatched: true, paused: true}, globals{verbosity: 2}, "h",
			"exec ssh -p 7 h xl -vv migrate-receive -e -p", "ssh -p 7 h xl"},
		{"a command", migrating{}, globals{}, "ssh h /opt/xl migrate-receive", "ssh h /opt/xl migrate-receive", "ssh h /opt/xl"},
		{"a command with options", migrating{}, globals{}, "xl -v migrate-receive -e -p ", "xl -v migrate-receive -e -p ", "xl -v"},
		{"ssh, directly", migrating{ssh: "ssh", direct: directWay{streams: 2, via: "a", listen: ":7", ca: "/a", cert: "/b", key: "/c"}}, globals{}, "h",
			"exec ssh h xl migrate-receive --listen=:7 --tls-ca=/a --tls-cert=/b --tls-key=/c", "ssh h xl"},
		{"a command with values", migrating{}, globals{}, "xl migrate-receive --listen=[::1]:7 -e", "xl migrate-receive --listen=[::1]:7 -e", "xl"},
		{"a command with a value that a shell takes apart", migrating{}, globals{}, "xl migrate-receive --listen=`x`", "xl migrate-receive --listen=`x`", ""},
		{"a pipe", migrating{}, globals{}, "tee log | xl migrate-receive", "tee log | xl migrate-receive", ""},
		{"a quoted command", migrating{}, globals{}, "ssh h 'xl migrate-receive'", "ssh h 'xl migrate-receive'", ""},
		{"two commands", migrating{}, globals{}, "touch x; xl migrate-receive", "touch x; xl migrate-receive", ""},
		{"a program of one's own", migrating{}, globals{}, "receive-guest", "receive-guest", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.o.wayTo(tt.g, false, tt.host); got.receive != tt.receive || got.xl != tt.bare {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestCall(t *testing.T) {
	out, err := way{xl: "cat; echo"}.call(t.Context(), "$0", []byte("question"))
	if err != nil || !strings.HasPrefix(string(out), "question") {
		t.Errorf("%q, %v", out, err)
	}
	_, err = way{xl: "sh -c 'echo said >&2; exit 2'"}.call(t.Context(), "x", nil)
	if exitCode(err) != 2 || !strings.Contains(err.Error(), "said") {
		t.Errorf("error %v", err)
	}
	if _, err := (way{receive: "x"}).call(t.Context(), "info", nil); !errors.Is(err, errNoWay) || exitCode(err) != -1 {
		t.Errorf("error %v", err)
	}
}

func TestPauseText(t *testing.T) {
	for want, p := range map[string]migrate.Pace{
		"The guest will pause for about 9 s: 512 MiB at 64 MiB/s, as the last time.":      {KiBPerSecond: 64 << 10, Fixed: time.Second},
		"The guest will pause for about 6 s: 512 MiB at 110 MiB/s, assumed.":              {},
		"The guest will pause for about 700 ms: 512 MiB at 1024 MiB/s, as the last time.": {KiBPerSecond: 1 << 20, Fixed: 200 * time.Millisecond},
		"The guest will pause for about 9 min: 512 MiB at 1.0 MiB/s, as the last time.":   {KiBPerSecond: 1 << 10, Fixed: time.Second},
	} {
		if got := pauseText(512<<10, p); got != want {
			t.Errorf("%s", got)
		}
	}
}

func TestDisksText(t *testing.T) {
	for want, p := range map[string]disks.Progress{
		"disks, round 1:  25 % of 4096 MiB, 128 MiB/s, 24 s left": {Done: 1 << 30, Total: 4 << 30},
		"disks, round 1: 100 % of 4096 MiB":                       {Done: 4 << 30, Total: 4 << 30},
		"disks, round 3:  50 % of 8 MiB":                          {Round: 2, Done: 4 << 20, Total: 8 << 20},
		"disks, round 1:   0 % of 0 MiB":                          {},
	} {
		if got := disksText(p, 8*time.Second); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	got := moveTimelineText(&migrate.Timeline{Disks: []disks.Round{{Read: 64 << 20, Sent: 16 << 20, Took: 2 * time.Second, Dirty: 1 << 20}},
		DiskRest: disks.Round{Read: 128 << 10, Sent: 64 << 10, Took: 30 * time.Millisecond}, Start: time.Second})
	for _, want := range []string{"2000 ms  disks, round 1: 64 MiB read, 16 MiB sent, 32.0 MiB/s, then 1 MiB written anew\n",
		"1030 ms  pause, of which\n", "  30 ms    disks: 128 KiB read, 64 KiB sent, and all verified\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
}

func TestMoveTimelineText(t *testing.T) {
	got := moveTimelineText(&migrate.Timeline{Connect: 2 * time.Second, Memory: 5 * time.Millisecond, Start: time.Second, Rest: 512, Stream: 8 << 20, Wire: 2 << 20,
		Rounds: []migrate.Round{{Sent: 1024, Took: time.Second, Dirty: 256}}})
	for _, want := range []string{"2000 ms  reach the receiver\n", "1000 ms  round 1: 4 MiB, then 1 MiB written anew, 1.0 MiB/s\n",
		"1005 ms  pause, of which\n", "   5 ms    memory: 2 MiB\n", "8 MiB of stream, 2 MiB sent (25 %)\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
}
