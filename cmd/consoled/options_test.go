package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goxl/backends/console"
)

func TestParseOptions(t *testing.T) {
	for _, tt := range []struct {
		args   string
		change func(*options) // from what no arguments mean
	}{
		{"", func(o *options) {}},
		{"-i -v", func(o *options) { o.interactive, o.verbose = true, true }},
		{"-iv --log=none", func(o *options) { o.interactive, o.verbose = true, true }},
		{"--log=guest --log-dir=/x", func(o *options) { o.GuestLogs, o.LogDir = true, "/x" }},
		{"--log hv --log guest", func(o *options) { o.GuestLogs, o.HypervisorLog = true, true }},
		{"--log=all --log=none", func(o *options) { o.GuestLogs, o.HypervisorLog = true, true }}, // as the genuine one
		{"--log=everything", func(o *options) {}},
		{"--pid-file=/run/p", func(o *options) { o.pidFile = "/run/p" }},
		{"-t all", func(o *options) { o.GuestLog.Timestamps, o.XenLog.Timestamps = true, true }},
		{"--time=hv -tguest", func(o *options) { o.GuestLog.Timestamps, o.XenLog.Timestamps = true, true }},
		{"-t all -t none", func(o *options) {}},
		{"-t guest -t often", func(o *options) { o.GuestLog.Timestamps = true }},
		{"-o keep", func(o *options) { o.KeepOverflow = true }},
		{"-o keep --overflow-data=discard", func(o *options) {}},
		{"-o keep -o never", func(o *options) { o.KeepOverflow = true }},
		{"--replace-escape", func(o *options) { o.GuestLog.ReplaceEscape, o.XenLog.ReplaceEscape = true, true }},
		{"--max-log=10m --keep-logs=2", func(o *options) {
			o.GuestLog.MaxBytes, o.GuestLog.Keep, o.XenLog.MaxBytes, o.XenLog.Keep = 10<<20, 2, 10<<20, 2
		}},
		{"--keep-output=none", func(o *options) { o.TailDir = "" }},
		{"--keep-output=/srv/kept", func(o *options) { o.TailDir = "/srv/kept" }},
		{"-h --nonsense", func(o *options) { o.help = true }},
		{"-V", func(o *options) { o.version = true }},
		{"operands are ignored", func(o *options) {}},
	} {
		t.Run(tt.args, func(t *testing.T) {
			var want options
			want.pidFile, want.LogDir, want.TailDir = "/var/run/xen/xenconsoled.pid", "/var/log/xen/console", console.TailDir
			want.GuestLog.Keep, want.XenLog.Keep = 5, 5
			tt.change(&want)
			var stderr strings.Builder
			got, err := parseOptions("xenconsoled", strings.Fields(tt.args), &stderr)
			if err != nil || stderr.Len() > 0 {
				t.Fatalf("%v, %s", err, stderr.String())
			}
			if want.help || want.version {
				got.XenLog.Keep = 5 // not reached
			}
			if d := cmp.Diff(want, got, cmp.AllowUnexported(options{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestWrongOptions(t *testing.T) {
	for args, want := range map[string]string{
		"--nonsense":             "xenconsoled: unrecognized option '--nonsense'",
		"-x":                     "xenconsoled: invalid option -- 'x'",
		"--log":                  "xenconsoled: option '--log' requires an argument",
		"--max-log=big":          "xenconsoled: --max-log=big is not a size such as 512K, 10M or 1G",
		"--max-log=-1":           "xenconsoled: --max-log=-1 is not a size such as 512K, 10M or 1G",
		"--max-log=9999999G":     "",
		"--max-log=99999999G":    "",
		"--max-log=99999999999G": "xenconsoled: --max-log=99999999999G is not a size such as 512K, 10M or 1G",
		"--keep-logs=-1":         "xenconsoled: --keep-logs=-1 is not a number from 0 to 1000",
		"--keep-output=here":     `xenconsoled: --keep-output=here is neither "none" nor a folder with its whole path`,
	} {
		t.Run(args, func(t *testing.T) {
			var stderr strings.Builder
			_, err := parseOptions("xenconsoled", strings.Fields(args), &stderr)
			if want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			want += "\nTry `xenconsoled --help' for more information\n"
			if !errors.Is(err, errUsage) || stderr.String() != want {
				t.Errorf("%v; said %q, want %q", err, stderr.String(), want)
			}
		})
	}
}
