package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"goxl/lab"
	"goxl/lab/mini"
	"goxl/lab/suite"
)

// kernelCache is where our xl keeps unpacked kernels: gone is cold.
const kernelCache = "/var/cache/goxl"

const oursXL = "/opt/goxl/bin/xl"

// bench measures two programs in turn on one host.
type bench struct {
	host    *lab.Host
	show    *progress
	genuine string
	rounds  int
	rows    rows
}

// part is a piece of the benchmark that can be run alone.
type part struct {
	name, what string
	run        func(*bench, context.Context) error
}

var parts = []part{
	{"lives", "create and destroy with Debian's kernel", (*bench).lives},
	{"moves", "save, restore, migrate", (*bench).moves},
	{"row", "guests one after the other", (*bench).inARow},
	{"crowd", "guests eight at a time", (*bench).atOnce},
}

func benchCommand() *cli.Command {
	return &cli.Command{
		Name: "bench", Usage: "Measure our xl and the genuine one side by side, into bench/table.md",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "xen", Value: lab.Xen417.Xen, Usage: "`RELEASE` of Xen"},
			&cli.IntFlag{Name: "rounds", Value: 5, Usage: "`NUMBER` of times that lives and moves are measured"},
			&cli.StringSliceFlag{Name: "part", Usage: "only `PART`: lives, moves, row, crowd; may be repeated"},
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
	closeLab, err := b.open(c, module)
	if err != nil {
		return err
	}
	defer closeLab()
	for _, p := range chosen {
		done := show.Step(p.what, 4*time.Minute)
		err := p.run(b, c.Context)
		done(err)
		if err != nil {
			return err
		}
		got, err := b.piece(c.Context, p.name, module)
		if err == nil {
			err = keep(dir, got)
		}
		if err != nil {
			return err
		}
	}
	show.Close()
	text, err := writeBenchTable(dir)
	fmt.Fprint(c.App.Writer, "\n"+text)
	return err
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

// open starts a host, or takes one that runs, and puts on it what is measured.
func (b *bench) open(c *cli.Context, module string) (closeLab func() error, err error) {
	cache, err := lab.OpenCache(c.String("cache"))
	if err != nil {
		return nil, err
	}
	var l *lab.Lab
	closeLab = func() error { return nil }
	if name := c.String("name"); name != "" {
		l, err = attachWithPrograms(c.Context, cache, module, name)
	} else {
		l, err = b.up(c, cache, module)
		if err == nil {
			closeLab = l.Close
		}
	}
	if err != nil {
		return nil, err
	}
	b.host, b.genuine = l.Hosts[0], "/usr/lib/xen-"+l.Release()+"/bin/xl"
	err = mini.Install(c.Context, cache, b.host, b.show)
	if err == nil {
		_, err = b.host.Output(c.Context, "cat >"+preludeFile+" <<'EOF'\n"+prelude+"EOF")
	}
	if err != nil {
		closeLab()
		return nil, err
	}
	return closeLab, nil
}

func (b *bench) up(c *cli.Context, cache *lab.Cache, module string) (*lab.Lab, error) {
	release, err := lab.ParseRelease(c.String("xen"))
	if err != nil {
		return nil, err
	}
	return upWithPrograms(c.Context, cache, module, release, b.show)
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
	return l, install(ctx, l.Hosts[0], dir)
}

// turn returns both programs; who begins changes with i, so that what drifts hits
// both.
func (b *bench) turn(i int) []string {
	if i%2 == 1 {
		return []string{b.genuine, oursXL}
	}
	return []string{oursXL, b.genuine}
}
