package config

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The corpus in testdata/xl, in the form of Go's txtar, holds configurations, and for each of them what the
// genuine xl of several releases answered to `xl -N create -q`. How it was
// recorded is told in testdata/xl/README.
var record = flag.String("record", "", "record what $GENUINE_XL answers as this release, such as 4.17")

// corpusHost is the host on which the answers were recorded.
var corpusHost = Host{MaxCPUs: 4, OnlineCPUs: 4, MaxNodes: 1, NodeCPUs: []Bitmap{BitmapOf(0, 1, 2, 3)}}

// answer is what xl says to a configuration.
type answer struct {
	Stdout, Stderr string
	Exit           int
}

// corpusCase is one configuration.
type corpusCase struct {
	name      string
	config    string
	overrides []string
	conf      string
	hasConf   bool
	answers   map[string]answer // by release
}

// corpusFile is a file of the corpus.
type corpusFile struct {
	path  string
	cases []*corpusCase
}

func readCorpus(t testing.TB) []corpusFile {
	t.Helper()
	paths, err := filepath.Glob("testdata/xl/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	var files []corpusFile
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f := corpusFile{path: path}
		for _, part := range strings.Split("\n"+string(text), "\n-- ")[1:] {
			name, data, _ := strings.Cut(part, " --\n")
			if data != "" {
				data = strings.TrimSuffix(data, "\n") + "\n"
			}
			f.add(t, name, data)
		}
		files = append(files, f)
	}
	return files
}

// add reads one section, "case/what" or "case/what releases…".
func (f *corpusFile) add(t testing.TB, section, data string) {
	t.Helper()
	name, what, _ := strings.Cut(section, "/")
	if len(f.cases) == 0 || f.cases[len(f.cases)-1].name != name {
		f.cases = append(f.cases, &corpusCase{name: name, answers: map[string]answer{}})
	}
	c := f.cases[len(f.cases)-1]
	what, releases, _ := strings.Cut(what, " ")
	switch what {
	case "guest.cfg":
		c.config = data
	case "guest.cfg.quoted":
		text, err := strconv.Unquote(strings.TrimSpace(data))
		if err != nil {
			t.Fatalf("%s: %s: %v", f.path, section, err)
		}
		c.config = text
	case "overrides":
		c.overrides = strings.Split(strings.TrimSuffix(data, "\n"), "\n")
	case "xl.conf":
		c.conf, c.hasConf = data, true
	case "answer":
		for _, r := range strings.Fields(releases) {
			c.answers[r] = parseAnswer(t, data)
		}
	default:
		t.Fatalf("%s: unknown section %q", f.path, section)
	}
}

// An answer is the exit status on a line, the lines of stderr each after "! ",
// then stdout. What does not end in a newline has "\" there.
func (a answer) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "exit %d\n", a.Exit)
	for line := range strings.Lines(a.Stderr) {
		b.WriteString("! " + endLine(line))
	}
	for line := range strings.Lines(a.Stdout) {
		b.WriteString("| " + endLine(line))
	}
	return b.String()
}

func endLine(s string) string {
	if !strings.HasSuffix(s, "\n") {
		return s + "\\\n"
	}
	return s
}

func parseAnswer(t testing.TB, s string) answer {
	t.Helper()
	var a answer
	for line := range strings.Lines(s) {
		text := line[min(2, len(line)):]
		if end, ok := strings.CutSuffix(text, "\\\n"); ok {
			text = end
		}
		switch {
		case strings.HasPrefix(line, "exit "):
			if _, err := fmt.Sscanf(line, "exit %d", &a.Exit); err != nil {
				t.Fatal(err)
			}
		case strings.HasPrefix(line, "! "):
			a.Stderr += text
		case strings.HasPrefix(line, "| "):
			a.Stdout += text
		default:
			t.Fatalf("what is %q?", line)
		}
	}
	return a
}

// ours is what we would say.
func ours(c *corpusCase, rel Release, host Host) answer {
	opts := Options{Release: rel, Host: host, Overrides: c.overrides}
	var stderr strings.Builder
	say := func(warnings []Warning, err error) int {
		for _, w := range warnings {
			stderr.WriteString(w.Text)
		}
		var bad *Error
		if errors.As(err, &bad) {
			stderr.WriteString(bad.Text())
			return bad.Exit
		}
		return 0
	}
	conf, warnings, err := ParseConf("/etc/xen/xl.conf", []byte(c.conf), opts)
	if exit := say(warnings, err); err != nil {
		return answer{Stderr: stderr.String(), Exit: exit}
	}
	opts.Conf = conf
	spec, warnings, err := Parse("guest.cfg", []byte(c.config), opts)
	if exit := say(warnings, err); err != nil {
		return answer{Stderr: stderr.String(), Exit: exit}
	}
	if err := conf.ApplyCPUMasks(spec, host); err != nil {
		return answer{Exit: say(nil, err), Stderr: stderr.String()}
	}
	if conf.OutputSXP {
		text, err := spec.AppendSXP(nil, -1, SXPFacts{})
		exit := say(nil, err)
		return answer{string(text), stderr.String(), exit}
	}
	return answer{string(spec.AppendJSON(nil, rel)), stderr.String(), 0}
}

func TestCorpus(t *testing.T) {
	if *record != "" {
		recordCorpus(t)
	}
	for _, f := range readCorpus(t) {
		for _, c := range f.cases {
			for name, want := range c.answers {
				rel, err := parseRelease(name)
				if err != nil {
					t.Fatal(err)
				}
				t.Run(c.name+"/"+name, func(t *testing.T) {
					if why := deviations[c.name+"/"+name] + deviations[c.name]; why != "" {
						t.Skip(why)
					}
					if diff := cmp.Diff(want.String(), ours(c, rel, corpusHost).String()); diff != "" {
						t.Errorf("(- genuine, + ours)\n%s", diff)
					}
				})
			}
		}
	}
}

// deviations are the cases in which we mean to answer differently, and why. A
// crash of the genuine xl is always one.
var deviations = map[string]string{
	"pci-star/4.14": "xl 4.14 ends with a failed assertion",
	"rdm-host":      "xl copies a policy that it never set; we leave it unset",
}

// askXL asks the genuine xl.
func askXL(t testing.TB, c *corpusCase) answer {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("guest.cfg", c.config)
	write("xl.conf", c.conf)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	// The mount hides the host's xl.conf from this one process; where that is not
	// possible, $XL_CONF tells a stand-in for the hypervisor which file to show.
	script := `mount --bind "$XL_CONF" /etc/xen/xl.conf 2>/dev/null; exec "$GENUINE_XL" -N create -q "$@"`
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"-m", "sh", "-c", script, "sh", "guest.cfg"}, c.overrides...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "XL_CONF="+filepath.Join(dir, "xl.conf"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return answer{stdout.String(), withoutLog(stderr.String()), cmd.ProcessState.ExitCode()}
}

// withoutLog takes away what libxl logs: it names lines of its source.
func withoutLog(stderr string) string {
	var b strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "libxl: ") && !strings.HasPrefix(line, "xc: ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// recordCorpus writes the answers of the genuine xl into the corpus.
func recordCorpus(t *testing.T) {
	for _, f := range readCorpus(t) {
		var out strings.Builder
		add := func(c *corpusCase, what, data string) {
			fmt.Fprintf(&out, "-- %s/%s --\n%s", c.name, what, data)
		}
		for _, c := range f.cases {
			c.answers[*record] = askXL(t, c)
			if plainText(c.config) {
				add(c, "guest.cfg", c.config)
			} else {
				add(c, "guest.cfg.quoted", strconv.Quote(c.config)+"\n")
			}
			if c.overrides != nil {
				add(c, "overrides", strings.Join(c.overrides, "\n")+"\n")
			}
			if c.hasConf {
				add(c, "xl.conf", c.conf)
			}
			for _, group := range sameAnswers(c.answers) {
				add(c, "answer "+strings.Join(group, " "), c.answers[group[0]].String())
			}
		}
		if err := os.WriteFile(f.path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func plainText(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' && c != '\n' && c != '\t' || c >= 0x7f {
			return false
		}
	}
	return strings.HasSuffix(s, "\n") && !strings.Contains(s, "\n-- ")
}

// sameAnswers groups the releases that answered alike.
func sameAnswers(answers map[string]answer) [][]string {
	var groups [][]string
	var names []string
	for name := range answers {
		names = append(names, name)
	}
	slices.Sort(names)
next:
	for _, name := range names {
		for i, g := range groups {
			if answers[g[0]] == answers[name] {
				groups[i] = append(g, name)
				continue next
			}
		}
		groups = append(groups, []string{name})
	}
	return groups
}
