package suite

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// logger prints the course of a run, a line at a time: continuous integration
// and people read the same.
type logger struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
}

func newLogger(out io.Writer) *logger { return &logger{out: out, start: time.Now()} }

// Step is of lab.Progress.
func (l *logger) Step(what string, _ time.Duration) func(error) {
	begin := time.Now()
	l.note("begin", what)
	return func(err error) {
		took := time.Since(begin).Round(100 * time.Millisecond)
		if err != nil {
			l.note("FAILED", fmt.Sprintf("%s (%s)", what, took))
			return
		}
		l.note("done", fmt.Sprintf("%s (%s)", what, took))
	}
}

func (l *logger) note(who, what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	since := time.Since(l.start).Round(time.Second)
	fmt.Fprintf(l.out, "%3d:%02d  %-8s %s\n", int(since.Minutes()), int(since.Seconds())%60, who, what)
}

// ended tells of a test on a host that took its time, so that a long package is not
// silent; its parts stand in [Times].
func (l *logger) ended(r Record) {
	const worth = 20 * time.Second
	if r.Took < worth || strings.Contains(r.Test, "/") || r.Where == unitTests {
		return
	}
	l.note(r.Where, fmt.Sprintf("%s %s: %s after %s", r.Package, r.Test, r.Outcome, r.Took.Round(time.Second)))
}

// outputLines of a failed test are shown; the end tells most.
const outputLines = 60

// passed shows what a test on a host said that passed.
func (l *logger) passed(f Failure) {
	if f.Where != unitTests {
		l.output("passed", f)
	}
}

func (l *logger) failure(f Failure) { l.output("FAILED", f) }

func (l *logger) output(how string, f Failure) {
	name := strings.TrimSpace(f.Package + " " + f.Test)
	lines := strings.Split(strings.TrimRight(f.Output, "\n"), "\n")
	if cut := len(lines) - outputLines; cut > 0 {
		lines = append([]string{fmt.Sprintf("(%d lines left out)", cut)}, lines[cut:]...)
	}
	l.block(how+" "+name+" on "+f.Where, strings.Join(lines, "\n"))
}

// block prints text under a title, indented.
func (l *logger) block(title, text string) {
	text = strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    | ")
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.out, "%s\n    | %s\n", title, text)
}

// readTail returns the last n bytes of a file.
func readTail(name string, n int) (string, error) {
	data, err := os.ReadFile(name)
	return string(data[max(0, len(data)-n):]), err
}
