package main

import (
	"errors"
	"flag"
	"strings"
	"testing"

	"goxl/netback"
)

func TestParseOptions(t *testing.T) {
	for _, tt := range []struct {
		args string
		want options
		err  string
	}{
		{"", options{Options: netback.Options{Antispoof: "off", StateDir: defaultState}}, ""},
		{"-v --antispoof=ip --max-queues 2 --state-dir=/x", options{netback.Options{Antispoof: "ip", MaxQueues: 2, StateDir: "/x"}, true}, ""},
		{"--state-dir=here", options{}, "no whole path"},
		{"7", options{}, `no arguments, and was given "7"`},
		{"--max-queues=many", options{}, "invalid value"},
		{"--nonsense", options{}, "not defined"},
	} {
		o, err := parseOptions(strings.Fields(tt.args), new(strings.Builder))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: %v", tt.args, err)
			}
		} else if err != nil || o != tt.want {
			t.Errorf("%q: %+v, %v", tt.args, o, err)
		}
	}
	var usage strings.Builder
	if _, err := parseOptions([]string{"--help"}, &usage); !errors.Is(err, flag.ErrHelp) || !strings.Contains(usage.String(), "-antispoof") {
		t.Errorf("--help: %v, %q", err, usage.String())
	}
}
