package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"goxl/lab"
	"goxl/lab/mini"
)

// Options of a run. Module, Cache and Out must be set.
type Options struct {
	Module   string // folder with go.mod
	Cache    *lab.Cache
	Out      io.Writer         // progress and failures, line by line
	Targets  []Target          // empty: [Targets]
	Peers    []string          // releases of second hosts; empty: what belongs to each target
	Packages []string          // patterns as of "go list"; empty: all
	Tests    string            // only tests that match; empty: all
	Verbose  bool              // also show what tests on hosts say that pass
	NoUnit   bool              // leave out what needs no host
	NoLab    bool              // leave out what needs one
	Done     map[string]string // by target: a pattern of tests that need not run; may be nil
	Full     bool              // tests with a large matrix run all of it (GOXL_MATRIX=full)
	Parallel int               // hosts at once; 0: what memory and processors allow
	Limit    time.Duration     // of one package on one host; 0 is 40 minutes
	Record   func([]Record)    // told at the end how each test came out; may be nil
}

// Target is a host that the tests run on.
type Target struct {
	Release lab.Release
	Store   string // xenstore daemon
	Hosts   int    // how many hosts share the packages; 0 is one
	// Peer is the release of a second host beside this one; the zero value: none.
	Peer lab.Release
}

func (t Target) String() string {
	if t.Peer.Xen != "" {
		return "Xen " + t.Release.Xen + " beside " + t.Peer.Xen
	}
	return "Xen " + t.Release.Xen + " with " + t.Store
}

// Targets are all releases that a lab can run, with either xenstore daemon. The
// release that everything is tried on has two hosts.
func Targets() []Target {
	return []Target{
		{Release: lab.Xen417, Store: "oxenstored", Hosts: 2},
		{Release: lab.Xen414, Store: "xenstored"}, {Release: lab.Xen420, Store: "oxenstored"},
	}
}

// allPackages is the pattern of the whole module.
const allPackages = "./..."

// unitTests is where the tests run that need no host.
const unitTests = "unit tests"

// runner is one run in progress.
type runner struct {
	Options
	tally   *Tally
	log     *logger
	payload string // disk image with programs and tests
	tests   []Package
}

// Run runs all tests and returns how they came out. An error means that they
// could not be run, not that one failed.
func Run(ctx context.Context, o Options) (Result, error) {
	if o.Limit == 0 {
		o.Limit = 40 * time.Minute
	}
	if len(o.Targets) == 0 {
		o.Targets = Targets()
	}
	if len(o.Packages) == 0 {
		o.Packages = []string{allPackages}
	}
	if _, err := regexp.Compile(o.Tests); err != nil {
		return Result{}, fmt.Errorf("which tests: %w", err)
	}
	r := &runner{Options: o, log: newLogger(o.Out)}
	r.tally = NewTally(r.log.failure)
	r.tally.onRecord = r.log.ended
	if o.Verbose {
		r.tally.onPass = r.log.passed
	}
	if o.Record != nil {
		defer func() { o.Record(r.tally.Records()) }()
	}

	images := r.buildImages(ctx) // downloads: meanwhile the processors test
	if !o.NoUnit {
		r.unit(ctx)
	}
	if err := images(); err != nil {
		return r.tally.Result(), err
	}
	if !o.NoLab {
		if err := r.labs(ctx); err != nil {
			return r.tally.Result(), err
		}
	}
	return r.tally.Result(), context.Cause(ctx)
}

// buildImages builds the images that are missing, in the background; the
// returned function waits for them.
func (r *runner) buildImages(ctx context.Context) (wait func() error) {
	if r.NoLab {
		return func() error { return nil }
	}
	result := make(chan error, 1)
	go func() {
		for _, t := range r.Targets {
			if _, err := r.Cache.Image(ctx, t.Release, r.log); err != nil {
				result <- err
				return
			}
		}
		result <- nil
	}()
	return func() error { return <-result }
}

// unit runs go vet and the tests that need no host.
func (r *runner) unit(ctx context.Context) {
	done := r.log.Step("go vet", 0)
	err := goRun(ctx, r.Module, append([]string{"vet"}, r.Packages...)...)
	done(err)
	if err != nil {
		r.tally.Fail(Failure{Where: "go vet", Output: err.Error()})
	}

	args := []string{"test", "-json", "-vet=off", "-timeout=10m", "-skip=^TestLab"}
	if r.Tests != "" {
		args = append(args, "-run="+r.Tests)
	}
	cmd := goCommand(ctx, r.Module, append(args, r.Packages...)...)
	done = r.log.Step(unitTests, 0)
	err = pipe(cmd, func(out io.Reader) error {
		result, err := r.tally.Add(unitTests, out)
		r.log.note(unitTests, result.String())
		return err
	})
	done(nil)
	if err != nil && r.tally.Result().Failed == 0 {
		r.tally.Fail(Failure{Where: unitTests, Output: err.Error()})
	}
}

// labs builds everything that the hosts need and runs the tests on all targets.
func (r *runner) labs(ctx context.Context) error {
	all, err := list(ctx, r.Module, r.Packages...)
	if err != nil {
		return err
	}
	if r.tests, err = labPackages(r.Module, all); err != nil {
		return err
	}
	if len(r.tests) == 0 {
		r.log.note("labs", "no package has tests for a Xen host")
		return nil
	}
	dir, err := r.Cache.TempDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	done := r.log.Step(fmt.Sprintf("build our programs and the host tests of %d packages", len(r.tests)), 0)
	err = r.makePayload(ctx, dir)
	done(err)
	if err != nil {
		r.tally.Fail(Failure{Where: "build", Output: err.Error()})
		return nil
	}

	slots := make(chan struct{}, r.parallel())
	var wg sync.WaitGroup
	for _, job := range r.jobs() {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			job(ctx)
		})
	}
	wg.Wait()
	return nil
}

func (r *runner) makePayload(ctx context.Context, dir string) error {
	content := filepath.Join(dir, "payload")
	if err := lab.Need(ctx, r.log, "mke2fs"); err != nil {
		return err
	}
	if err := Programs(ctx, r.Module, content, "./cmd/...", "./examples/..."); err != nil {
		return err
	}
	if err := testBinaries(ctx, r.Module, content, r.tests); err != nil {
		return err
	}
	if err := sources(r.Module, content, r.tests); err != nil {
		return err
	}
	guest, err := mini.Build(ctx, r.Cache, r.log)
	if err != nil {
		return err
	}
	if err := copyFile(guest, filepath.Join(content, "mini", filepath.Base(mini.Path))); err != nil {
		return err
	}
	r.payload = filepath.Join(dir, "payload.img")
	return errors.Join(disk(ctx, content, r.payload), os.RemoveAll(content))
}

// hostMemMiB is what a test host gets; the emulator needs some beside it.
const (
	hostMemMiB     = 4096
	pairMemMiB     = 2048 // each of two
	emulatorMemMiB = 1024
)

// parallel is how many hosts run side by side.
func (r *runner) parallel() int {
	if r.Parallel > 0 {
		return r.Parallel
	}
	return min(3, max(1, availableMiB()/(hostMemMiB+emulatorMemMiB)))
}

// availableMiB is the memory that programs can still have.
func availableMiB() int {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`MemAvailable:\s+(\d+) kB`).FindSubmatch(data)
	if m == nil {
		return 0
	}
	var kib int
	fmt.Sscan(string(m[1]), &kib)
	return kib / 1024
}
