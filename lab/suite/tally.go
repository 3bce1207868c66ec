package suite

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// Result counts tests. A test with subtests is not counted itself, unless it
// failed and none of its subtests did.
type Result struct{ Passed, Failed, Skipped int }

func (r Result) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", r.Passed, r.Failed, r.Skipped)
}

// event is a line of test2json's output (see "go doc test2json").
type event struct {
	Action      string
	Package     string
	ImportPath  string // of build-output and build-fail
	Test        string
	Output      string
	Elapsed     float64 // seconds
	FailedBuild string
}

// Failure is a failed test with what it printed.
type Failure struct {
	Where   string // "unit tests" or a host: "Xen 4.17"
	Package string
	Test    string // empty: the package as a whole
	Output  string
}

// Record is how one test came out on one host.
type Record struct {
	Where   string // "unit tests" or a target: "Xen 4.17 with oxenstored"
	Package string
	Test    string
	Outcome string        // "pass", "fail" or "skip"
	Took    time.Duration `json:"-"`
}

// Tally adds up the results of test binaries. It is safe for concurrent use.
type Tally struct {
	mu       sync.Mutex
	total    Result
	failures []Failure
	records  []Record
	onFail   func(Failure)
	onRecord func(Record)  // of every test, as it ends; may be nil
	onPass   func(Failure) // with what a test said that passed; may be nil
}

// NewTally calls onFail, which may be nil, at each failure as it happens.
func NewTally(onFail func(Failure)) *Tally { return &Tally{onFail: onFail} }

// Result returns the sum so far.
func (t *Tally) Result() Result {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

// Failures returns what failed so far.
func (t *Tally) Failures() []Failure {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Failure(nil), t.failures...)
}

// Records returns how every test came out so far, those with subtests included.
func (t *Tally) Records() []Record {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]Record(nil), t.records...)
}

// Fail counts a failure that no test reported: a host that died, say.
func (t *Tally) Fail(f Failure) {
	t.mu.Lock()
	t.total.Failed++
	t.failures = append(t.failures, f)
	t.mu.Unlock()
	if t.onFail != nil {
		t.onFail(f)
	}
}

// FailuresOf returns what failed so far in a package on a host.
func (t *Tally) FailuresOf(where, pkg string) []Failure {
	t.mu.Lock()
	defer t.mu.Unlock()
	var of []Failure
	for _, f := range t.failures {
		if f.Where == where && f.Package == pkg {
			of = append(of, f)
		}
	}
	return of
}

// Redeem counts a failure as passed: the test has passed since.
func (t *Tally) Redeem(f Failure) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.failures, f)
	if i < 0 {
		return
	}
	t.failures = slices.Delete(t.failures, i, i+1)
	t.total.Failed--
	t.total.Passed++
	for i, r := range t.records {
		if r.Where == f.Where && r.Package == f.Package && (r.Test == f.Test || strings.HasPrefix(f.Test, r.Test+"/")) {
			t.records[i].Outcome = "pass"
		}
	}
}

// Add reads test2json's output of one run until its end and returns what that
// run alone came to. Packages that began and never ended count as failed.
func (t *Tally) Add(where string, r io.Reader) (Result, error) {
	run := &run{tally: t, where: where, packages: map[string]*packageRun{}, builds: map[string]string{}}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			run.line(line)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			run.end()
			return run.result, fmt.Errorf("read test results of %s: %w", where, err)
		}
	}
	run.end()
	return run.result, nil
}

// run is one stream of events.
type run struct {
	tally    *Tally
	where    string
	result   Result
	packages map[string]*packageRun
	builds   map[string]string // what the compiler said, by import path
}

type packageRun struct {
	outputs map[string]string // by test; "" is the package's own
	parents map[string]bool   // tests with subtests
	failed  map[string]bool   // tests that failed, or with a failed subtest
	started map[string]bool   // tests that have not ended
}

func (r *run) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		return // a tool's own chatter
	}
	switch e.Action {
	case "build-output":
		r.builds[e.ImportPath] += e.Output
		return
	case "build-fail":
		return // the packages that needed it follow
	}
	p := r.packages[e.Package]
	if p == nil {
		p = &packageRun{map[string]string{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
		r.packages[e.Package] = p
	}
	switch e.Action {
	case "run":
		p.started[e.Test] = true
		if i := strings.LastIndex(e.Test, "/"); i >= 0 {
			p.parents[e.Test[:i]] = true
		}
	case "output":
		p.outputs[e.Test] += e.Output
	case "pass", "fail", "skip":
		r.ended(p, e)
	}
}

// ended counts a test's or a package's end.
func (r *run) ended(p *packageRun, e event) {
	delete(p.started, e.Test)
	if e.Test == "" {
		delete(r.packages, e.Package)
		if e.Action == "fail" && len(p.failed) == 0 {
			r.fail(e.Package, "", p.outputs[""]+r.builds[e.FailedBuild])
		}
		return
	}
	took := time.Duration(e.Elapsed * float64(time.Second))
	r.tally.record(Record{r.where, e.Package, e.Test, e.Action, took})
	output := p.outputs[e.Test]
	delete(p.outputs, e.Test)
	switch {
	case e.Action == "fail":
		below := p.failed[e.Test] // a subtest is to blame, and counted
		for name := e.Test; name != ""; name = name[:max(0, strings.LastIndex(name, "/"))] {
			p.failed[name] = true
		}
		if !below {
			r.fail(e.Package, e.Test, output)
		}
	case p.parents[e.Test]:
	case e.Action == "skip":
		r.count(func(s *Result) { s.Skipped++ })
	default:
		r.count(func(s *Result) { s.Passed++ })
		if r.tally.onPass != nil {
			r.tally.onPass(Failure{r.where, e.Package, e.Test, output})
		}
	}
}

// end fails the packages whose end was never seen.
func (r *run) end() {
	for name, p := range r.packages {
		var open []string
		for test := range p.started {
			open = append(open, test)
		}
		r.fail(name, strings.Join(open, ", "), "ended without a result\n"+p.outputs[""])
	}
}

func (r *run) fail(pkg, test, output string) {
	r.result.Failed++
	r.tally.Fail(Failure{r.where, pkg, test, output})
}

func (t *Tally) record(r Record) {
	t.mu.Lock()
	t.records = append(t.records, r)
	t.mu.Unlock()
	if t.onRecord != nil {
		t.onRecord(r)
	}
}

func (r *run) count(add func(*Result)) {
	add(&r.result)
	r.tally.mu.Lock()
	add(&r.tally.total)
	r.tally.mu.Unlock()
}
