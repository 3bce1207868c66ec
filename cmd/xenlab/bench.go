package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"goxl/lab"
	"goxl/lab/mini"
	"goxl/lab/suite"
)

// kernelCache is where our xl keeps unpacked kernels: gone is cold.
const kernelCache = "/var/cache/goxl"

const oursXL = "/opt/goxl/bin/xl"

// bench measures two programs in turn on the same hosts.
type bench struct {
	host    *lab.Host // the first one, or the only one
	hosts   []*lab.Host
	show    *progress
	genuine string
	rounds  int
	rows    rows
	asked   int // questions to guests, to tell their answers apart
}

// part is a piece of the benchmark that can be run alone.
type part struct {
	name, what string
	hosts      int // that it needs
	run        func(*bench, context.Context) error
}

var parts = []part{
	{"lives", "create and destroy with Debian's kernel", 1, (*bench).lives},
	{"moves", "save, restore", 1, (*bench).moves},
	{"row", "guests one after the other", 1, (*bench).inARow},
	{"crowd", "guests eight at a time", 1, (*bench).atOnce},
	{"disk", "serve the disks of guests", 1, (*bench).disks},
	{"net", "what netback carries, and the kernel's", 1, (*bench).carry},
	{"hosts", "migrate from one host to the other", 2, (*bench).betweenHosts},
}

func benchCommand() *cli.Command {
	return &cli.Command{
		Name: "bench", Usage: "Measure our xl and the genuine one side by side, into bench/table.md",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "xen", Value: lab.Xen417.Xen, Usage: "`RELEASE` of Xen"},
			&cli.IntFlag{Name: "rounds", Value: 5, Usage: "`NUMBER` of times that lives and moves are measured"},
			&cli.StringSliceFlag{Name: "part", Usage: "only `PART`: " + partNames() + "; may be repeated"},
			&cli.StringFlag{Name: "name", Usage: "on a running lab of that `NAME`"},
			&cli.BoolFlag{Name: "table", Usage: "measure nothing: make the table anew from bench/samples.json and bench/notes.txt"},
		},
		Action: runBench,
	}
}

func runBench(c *cli.Context) error {
	module, err := moduleDir()
	if err != nil {
		return err
	}
	dir := filepath.Join(module, "bench")
	if c.Bool("table") {
		text, err := writeBenchTable(dir)
		fmt.Fprint(c.App.Writer, text)
		return err
	}
	chosen, err := chosenParts(c.StringSlice("part"))
	if err != nil {
		return err
	}
	show := newProgress(c.App.ErrWriter)
	defer show.Close()
	b := &bench{show: show, rounds: c.Int("rounds")}
	for n := range mostHosts(chosen) {
		if err := b.onHosts(c, module, n+1, chosen); err != nil {
			return err
		}
	}
	show.Close()
	text, err := writeBenchTable(dir)
	fmt.Fprint(c.App.Writer, "\n"+text)
	return err
}

// onHosts measures those parts that need n hosts, in a lab that has no more.
func (b *bench) onHosts(c *cli.Context, module string, n int, chosen []part) error {
	chosen = slices.DeleteFunc(slices.Clone(chosen), func(p part) bool { return p.hosts != n })
	if len(chosen) == 0 {
		return nil
	}
	closeLab, err := b.open(c, module, n)
	if err != nil {
		return err
	}
	defer closeLab()
	for _, p := range chosen {
		done := b.show.Step(p.what, 4*time.Minute)
		err := p.run(b, c.Context)
		done(err)
		if err != nil {
			return err
		}
		got, err := b.piece(c.Context, p.name, module)
		if err == nil {
			err = keep(filepath.Join(module, "bench"), got)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func mostHosts(chosen []part) (n int) {
	for _, p := range chosen {
		n = max(n, p.hosts)
	}
	return n
}

func partNames() string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

func chosenParts(names []string) ([]part, error) {
	if len(names) == 0 {
		return parts, nil
	}
	var chosen []part
	for _, name := range names {
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no part of the benchmark is called %q", name)
		}
		chosen = append(chosen, parts[i])
	}
	return chosen, nil
}

// open starts n hosts, or takes those of a lab that runs, and puts on them what is
// measured.
func (b *bench) open(c *cli.Context, module string, n int) (closeLab func() error, err error) {
	cache, err := lab.OpenCache(c.String("cache"))
	if err != nil {
		return nil, err
	}
	var l *lab.Lab
	closeLab = func() error { return nil }
	if name := c.String("name"); name != "" {
		l, err = attachWithPrograms(c.Context, cache, module, name)
	} else {
		l, err = b.up(c, cache, module, n)
		if err == nil {
			closeLab = l.Close
		}
	}
	if err != nil {
		return nil, err
	}
	b.hosts, b.host, b.genuine = l.Hosts, l.Hosts[0], "/usr/lib/xen-"+l.Release()+"/bin/xl"
	if len(b.hosts) < n {
		err = fmt.Errorf("lab %s has %d of the %d hosts that this needs: start one with --hosts %d", l.Name, len(b.hosts), n, n)
	}
	for _, h := range b.hosts {
		if err == nil {
			err = mini.Install(c.Context, cache, h, b.show)
		}
		if err == nil {
			_, err = h.Output(c.Context, "cat >"+preludeFile+" <<'EOF'\n"+prelude+"EOF")
		}
	}
	if err != nil {
		closeLab()
		return nil, err
	}
	return closeLab, nil
}

func (b *bench) up(c *cli.Context, cache *lab.Cache, module string, n int) (*lab.Lab, error) {
	release, err := lab.ParseRelease(c.String("xen"))
	if err != nil {
		return nil, err
	}
	return upWithPrograms(c.Context, cache, module, release, n, b.show)
}

// attachWithPrograms finds a lab that runs and puts our programs on it.
func attachWithPrograms(ctx context.Context, cache *lab.Cache, module, name string) (*lab.Lab, error) {
	l, err := lab.Attach(cache, name)
	if err != nil {
		return nil, err
	}
	dir, err := cache.TempDir()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := suite.Programs(ctx, module, dir, "./cmd/xl"); err != nil {
		return nil, err
	}
	return l, installAll(ctx, l, dir)
}

// turn returns both programs; who begins changes with i, so that what drifts hits
// both.
func (b *bench) turn(i int) []string {
	if i%2 == 1 {
		return []string{b.genuine, oursXL}
	}
	return []string{oursXL, b.genuine}
}
