package getopt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestScan against what glibc 2.36 does with the same arguments.
func TestScan(t *testing.T) {
	for _, tt := range []struct{ args, set, operands, complaints string }{
		{"", "", "", ""},
		{"a -v b", "v", "a b", ""},
		{"-vi x", "v i", "x", ""},
		{"-tall -t none", "t=all t=none", "", ""},
		{"--log=guest --log hv", "l=guest l=hv", "", ""},
		{"--verb --log-d /x", "v d=/x", "", ""},
		{"--lo x", "", "x", "option '--lo' is ambiguous; possibilities: '--log' '--log-dir'"},
		{"--nothing", "", "", "unrecognized option '--nothing'"},
		{"--verbose=1", "", "", "option '--verbose' doesn't allow an argument"},
		{"--log", "", "", "option '--log' requires an argument"},
		{"-t", "", "", "option requires an argument -- 't'"},
		{"-xv", "v", "", "invalid option -- 'x'"},
		{"-v -- -i", "v", "-i", ""},
		{"-", "", "-", ""},
	} {
		t.Run(tt.args, func(t *testing.T) {
			var set, complaints []string
			s := Scanner{
				Letters: "vit:",
				Longs:   []Long{{"verbose", false, 'v'}, {"log", true, 'l'}, {"log-dir", true, 'd'}},
				Set: func(letter byte, arg string) error {
					o := string(letter)
					if arg != "" {
						o += "=" + arg
					}
					set = append(set, o)
					return nil
				},
				Complain: func(format string, v ...any) { complaints = append(complaints, fmt.Sprintf(format, v...)) },
			}
			operands, err := s.Scan(strings.Fields(tt.args))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(set, strings.Fields(tt.set)) || !slices.Equal(operands, strings.Fields(tt.operands)) ||
				strings.Join(complaints, "\n") != tt.complaints {
				t.Errorf("options %q, operands %q, complaints %q", set, operands, complaints)
			}
		})
	}
}

func TestScanStops(t *testing.T) {
	stop := errors.New("stop")
	n := 0
	s := Scanner{Letters: "v", Set: func(byte, string) error { n++; return stop }}
	if _, err := s.Scan([]string{"-v", "-v"}); !errors.Is(err, stop) || n != 1 {
		t.Errorf("Scan = %v after %d options", err, n)
	}
}
