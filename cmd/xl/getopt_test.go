package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// createTable is the richest table: letters with and without arguments, long
// names that are prefixes of each other.
var createTable = optionTable{"AFVcdef:inpq", []longOption{
	{"defconfig", true, 'f'},
	{"dryrun", false, 'n'},
	{"ignore-global-affinity-masks", false, 'i'},
	{"quiet", false, 'q'},
	{"vncviewer", false, 'V'},
	{"vncviewer-autopass", false, 'A'},
}}

// scan returns what the scanner makes of args: "f=x" per option, then the rest.
func scan(t *optionTable, args []string) (opts, rest []string, err error) {
	s := scanner{table: t, args: args}
	for {
		letter, arg, done, err := s.next()
		if err != nil {
			return opts, s.rest(), err
		}
		if done {
			return opts, s.rest(), nil
		}
		o := string(rune(letter))
		if arg != "" {
			o += "=" + arg
		}
		opts = append(opts, o)
	}
}

func TestScanner(t *testing.T) {
	for _, tt := range []struct {
		name, line, opts, rest string
		err                    string
	}{
		{"nothing", "", "", "", ""},
		{"plain arguments", "a b", "", "a b", ""},
		{"letters", "-p -q a", "p q", "a", ""},
		{"cluster", "-pq a", "p q", "a", ""},
		{"argument glued on", "-ffile", "f=file", "", ""},
		{"argument apart", "-f file a", "f=file", "a", ""},
		{"cluster ends in an argument", "-pf file", "p f=file", "", ""},
		{"an option as argument", "-f -p", "f=-p", "", ""},
		{"long", "--quiet --dryrun", "q n", "", ""},
		{"long with =", "--defconfig=a=b", "f=a=b", "", ""},
		{"long with argument apart", "--defconfig a b", "f=a", "b", ""},
		{"unique prefix", "--q --de=x", "q f=x", "", ""},
		{"exact name wins over longer one", "--vncviewer", "V", "", ""},
		{"prefix up to the difference", "--vncviewer-", "A", "", ""},
		{"ambiguous", "--vnc", "", "", "unknown long option"},
		{"ambiguous d", "--d=x", "", "", "unknown long option"},
		{"unknown", "--no-such", "", "", "unknown long option"},
		{"unknown letter", "-z", "", "", "bad option -z"},
		{"colon is no letter", "-:", "", "", "bad option -:"},
		{"argument missing", "-f", "", "", "bad option -f"},
		{"long argument missing", "--defconfig", "", "", "bad option -f"},
		{"argument not wanted", "--quiet=1", "", "", "bad option -q"},
		{"options end at --", "-p -- -q", "p", "-q", ""},
		{"options end at the first argument", "a -p", "", "a -p", ""},
		{"a dash is an argument", "- -p", "", "- -p", ""},
		{"help", "-ph", "p", "", "help requested"},
		{"long help", "--help", "", "", "help requested"},
		{"help cut short", "--h", "", "", "help requested"},
		{"help with an argument", "--help=x", "", "", "help requested"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts, rest, err := scan(&createTable, strings.Fields(tt.line))
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != tt.err {
				t.Fatalf("error %q, want %q", text, tt.err)
			}
			if got := strings.Join(opts, " "); got != tt.opts {
				t.Errorf("options %q, want %q", got, tt.opts)
			}
			if got := strings.Join(rest, " "); err == nil && got != tt.rest {
				t.Errorf("rest %q, want %q", got, tt.rest)
			}
		})
	}
}

func TestSameMeaningIsNotAmbiguous(t *testing.T) {
	table := optionTable{"a", []longOption{{"autopass", false, 'a'}, {"autopass-too", false, 'a'}}}
	if opts, _, err := scan(&table, []string{"--auto"}); err != nil || opts[0] != "a" {
		t.Errorf("--auto = %v, %v; want a", opts, err)
	}
}

func TestOwnOptionsByFullNameOnly(t *testing.T) {
	table := optionTable{"", []longOption{{"max", false, 'a'}, {"maximum", true, ownLetter}}}
	for args, want := range map[string]string{"--maximum=1": "À=1", "--max": "a", "--ma": "a", "--maxi": ""} {
		opts, _, err := scan(&table, []string{args})
		if got := strings.Join(opts, " "); got != want && !(want == "" && err != nil) {
			t.Errorf("%s = %q, %v; want %q", args, got, err, want)
		}
	}
}

// TestScannerRoundTrip writes options in one of the ways they can be written
// and reads them back.
func TestScannerRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var args, want []string
		for range rapid.IntRange(0, 6).Draw(t, "options") {
			switch rapid.IntRange(0, 4).Draw(t, "form") {
			case 0:
				l := rapid.StringMatching(`[AFVcdeinpq]{1,4}`).Draw(t, "cluster")
				args, want = append(args, "-"+l), append(want, strings.Split(l, "")...)
			case 1:
				v := rapid.StringMatching(`[a-z=-]{1,5}`).Draw(t, "value")
				args, want = append(args, "-f"+v), append(want, "f="+v)
			case 2:
				v := rapid.StringMatching(`[a-z=-]{1,5}`).Draw(t, "value")
				args, want = append(args, "-f", v), append(want, "f="+v)
			case 3:
				v := rapid.StringMatching(`[a-z=-]{1,5}`).Draw(t, "value")
				args, want = append(args, "--defconfig="+v), append(want, "f="+v)
			case 4:
				o := rapid.SampledFrom(createTable.longs[1:4]).Draw(t, "long")
				n := rapid.IntRange(2, len(o.name)).Draw(t, "cut")
				args, want = append(args, "--"+o.name[:n]), append(want, string(rune(o.letter)))
			}
		}
		tail := rapid.SliceOfN(rapid.StringMatching(`[a-z-]{0,4}`), 0, 3).Draw(t, "tail")
		args = append(append(args, "--"), tail...)
		opts, rest, err := scan(&createTable, args)
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		if d := cmp.Diff(want, opts); d != "" {
			t.Fatalf("%q: options (-want +got)\n%s", args, d)
		}
		if d := cmp.Diff(strings.Join(tail, "|"), strings.Join(rest, "|")); d != "" {
			t.Fatalf("%q: rest %s", args, d)
		}
	})
}

// FuzzScanner feeds arbitrary command lines, split at newlines: the scan ends,
// invents nothing, and each error is one of the two kinds.
func FuzzScanner(f *testing.F) {
	f.Add("-p\n-f\nfile\na")
	f.Add("--defconfig=\n--\n-x")
	f.Add("-\n--=\n---\n-f")
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\n")
		opts, rest, err := scan(&createTable, args)
		if len(opts) > len(line) || len(rest) > len(args) {
			t.Fatalf("%q: %d options and %d arguments", args, len(opts), len(rest))
		}
		var bad *optionError
		if err != nil && err != errHelp && !errors.As(err, &bad) {
			t.Fatalf("%q: %v", args, err)
		}
	})
}
