package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// result is what a run of xl left.
type result struct {
	out, err string
	status   int
}

// runOn runs a command line as the xl of release r on a host that answers
// nothing.
func runOn(t testing.TB, r release, args ...string) result {
	conf := filepath.Join(t.TempDir(), "xl.conf")
	if err := os.WriteFile(conf, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	status := run(context.Background(), append([]string{"xl"}, args...), surroundings{
		stdout: &out, stderr: &errs,
		release: func() release { return r },
		connect: newFake(t, r).connect,
		conf:    conf,
	})
	return result{out.String(), errs.String(), status}
}

func TestGlobals(t *testing.T) {
	for _, tt := range []struct {
		name, line string
		want       result // out: its first line
	}{
		{"no command", "", result{"Usage xl [-vfNtT] <subcommand> [args]", "", 1}},
		{"options, no command", "-vvfNtT --", result{"Usage xl [-vfNtT] <subcommand> [args]", "", 1}},
		{"unknown letter", "-x list", result{"", "xl: invalid option -- 'x'\nunknown global option\n", 1}},
		{"help letter", "-h", result{"", "xl: invalid option -- 'h'\nunknown global option\n", 1}},
		{"unknown long name", "--help", result{"", "xl: invalid option -- '-'\nunknown global option\n", 1}},
		{"our own cut short", "--stat list", result{"", "xl: invalid option -- '-'\nunknown global option\n", 1}},
		{"unknown command", "lst", result{"", "command not implemented\n", 1}},
		{"ambiguous command", "re", result{"", "command not implemented\n", 1}},
		{"help is no prefix", "hel", result{"", "command not implemented\n", 1}},
		{"no dry run", "-N list", result{"", "command does not implement -N (dryrun) option\n", 1}},
		{"help", "help", result{"Usage xl [-vfNtT] <subcommand> [args]", "", 0}},
		{"help of help", "help help", result{"Usage xl [-vfNtT] <subcommand> [args]", "", 0}},
		{"help of nothing", "help nothing", result{"command \"nothing\" not implemented", "", 0}},
		{"help by prefix", "help shutd", result{"Usage: xl [-vtTf] shutdown [options] <-a|Domain>", "", 0}},
		{"not yet", "remus", result{"", "xl: remus: not implemented yet [not-implemented]\n", 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := runOn(t, 17, strings.Fields(tt.line)...)
			got.out, _, _ = strings.Cut(got.out, "\n")
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

func TestTimestampsCameWith415(t *testing.T) {
	if got := runOn(t, 14, "-T", "help"); got.status != 1 || got.err != "xl: invalid option -- 'T'\nunknown global option\n" {
		t.Errorf("4.14: %+v", got)
	}
	if got := runOn(t, 15, "-T", "help"); got.status != 0 {
		t.Errorf("4.15: %+v", got)
	}
}

// TestPrefixesFollowTheRelease: what a name stands for depends on the commands
// of the release alone.
func TestPrefixesFollowTheRelease(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    release
		want string
	}{
		{"li", 17, "list"}, {"cre", 17, "create"}, {"list", 17, "list"},
		{"sus", 17, ""}, {"sus", 20, "suspend"}, {"res", 17, "restore"}, {"res", 20, ""},
		{"to", 17, "top"}, {"xen", 21, ""}, {"xenstore-quota-g", 22, "xenstore-quota-get"},
		{"pa", 17, "pause"}, {"p", 17, ""}, {"", 17, ""},
	} {
		got := ""
		if e := lookup(tt.r, tt.name); e != nil {
			got = e.name
		}
		if got != tt.want {
			t.Errorf("4.%d: %q is %q, want %q", tt.r, tt.name, got, tt.want)
		}
	}
}

func TestTableHasEachNameOnce(t *testing.T) {
	for r := oldestRelease; r <= newestRelease; r++ {
		seen := map[string]bool{}
		for _, e := range commandTable(r) {
			if seen[e.name] {
				t.Errorf("4.%d: %s twice", r, e.name)
			}
			seen[e.name] = true
		}
	}
}

func TestJSONErrors(t *testing.T) {
	got := runOn(t, 17, "--json-errors", "remus")
	var o struct{ Code, Message string }
	if err := json.Unmarshal([]byte(got.err), &o); err != nil {
		t.Fatalf("%q: %v", got.err, err)
	}
	if o.Code != "not-implemented" || o.Message != "remus: not implemented yet" || got.status != 1 {
		t.Errorf("%+v, exit %d", o, got.status)
	}
}

func TestNoXen(t *testing.T) {
	var out, errs bytes.Buffer
	status := run(context.Background(), []string{"xl", "list"}, surroundings{
		stdout: &out, stderr: &errs,
		release: func() release { return 17 },
		connect: func(context.Context) (*host, error) {
			return nil, &noHost{"no-xen", "open", errors.New("no such file"), "run in dom0"}
		},
	})
	if status != 1 || !strings.HasSuffix(errs.String(), "[no-xen]\ncannot init xl context\n") {
		t.Errorf("exit %d, stderr %q", status, errs.String())
	}
}
