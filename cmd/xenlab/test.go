package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"goxl/lab"
	"goxl/lab/suite"
)

// testLimit ends a run that hangs, before whoever waits for it does.
const testLimit = 85 * time.Minute

func testCommand() *cli.Command {
	return &cli.Command{
		Name: "test", Usage: "Run every test of the module, those that need Xen in labs of all releases",
		ArgsUsage: "[PACKAGES...]",
		Flags: []cli.Flag{
			&cli.StringSliceFlag{Name: "xen", Usage: "only on `RELEASE`; may be repeated"},
			&cli.StringSliceFlag{Name: "peer", Usage: "where a second host is needed, only one of `RELEASE`; may be repeated"},
			&cli.StringFlag{Name: "xenstored", Usage: "oxenstored or xenstored, instead of the usual mix"},
			&cli.StringFlag{Name: "run", Usage: "only tests that match `REGEXP`"},
			&cli.BoolFlag{Name: "no-unit", Usage: "leave out the tests that need no host"},
			&cli.BoolFlag{Name: "no-lab", Usage: "leave out the tests that need a host"},
			&cli.IntFlag{Name: "parallel", Usage: "`NUMBER` of hosts at once; default: what the machine allows"},
			&cli.DurationFlag{Name: "limit", Usage: "longest `TIME` of one package on one host"},
			&cli.BoolFlag{Name: "full", Usage: "run the large matrices whole, not a cover of them"},
			&cli.StringFlag{Name: "times", Usage: "write how long each test took, slowest first, into `FILE`"},
			&cli.BoolFlag{Name: "verbose", Aliases: []string{"v"}, Usage: "also show what tests on hosts say that pass"},
			&cli.BoolFlag{Name: "resume", Usage: "leave out what passed before, at this commit, by docs/matrix.json"},
			&cli.StringFlag{Name: "table", Usage: "write what worked where into the table of `FILE` (README.md)"},
		},
		Action: runTests,
	}
}

func runTests(c *cli.Context) error {
	module, err := moduleDir()
	if err != nil {
		return err
	}
	cache, err := lab.OpenCache(c.String("cache"))
	if err != nil {
		return err
	}
	targets, err := chosenTargets(c.StringSlice("xen"), c.String("xenstored"))
	if err != nil {
		return err
	}
	peers, err := chosenPeers(c.StringSlice("peer"))
	if err != nil {
		return err
	}
	var done map[string]string
	if c.Bool("resume") {
		if done, err = doneBefore(c.Context, module); err != nil {
			return err
		}
	}
	ctx, cancel := contextWithLimit(c.Context, testLimit)
	defer cancel()
	var records []suite.Record
	result, err := suite.Run(ctx, suite.Options{
		Module: module, Cache: cache, Out: c.App.Writer, Targets: targets, Peers: peers, Packages: c.Args().Slice(), Done: done,
		Tests: c.String("run"), NoUnit: c.Bool("no-unit"), NoLab: c.Bool("no-lab"), Full: c.Bool("full"), Verbose: c.Bool("verbose"),
		Parallel: c.Int("parallel"), Limit: c.Duration("limit"), Record: func(all []suite.Record) { records = all },
	})
	if err != nil {
		fmt.Fprintf(c.App.Writer, "the tests could not be finished: %v\n", err)
		result.Failed = max(result.Failed, 1)
	}
	if file := c.String("table"); file != "" {
		// Also after an interrupt: what was done until then is kept.
		if err := writeTable(context.WithoutCancel(c.Context), module, file, records); err != nil {
			return err
		}
	}
	if file := c.String("times"); file != "" {
		if err := os.WriteFile(file, []byte(suite.Times(records)), 0o644); err != nil {
			return err
		}
	}
	fmt.Fprintln(c.App.Writer, result)
	if result.Failed > 0 {
		return errFailed
	}
	return nil
}

func chosenPeers(releases []string) (peers []string, err error) {
	for _, name := range releases {
		r, err := lab.ParseRelease(name)
		if err != nil {
			return nil, err
		}
		peers = append(peers, r.Xen)
	}
	return peers, nil
}

// chosenTargets narrows the usual targets down.
func chosenTargets(releases []string, store string) ([]suite.Target, error) {
	var chosen []suite.Target
	for _, name := range releases {
		r, err := lab.ParseRelease(name)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, suite.Target{Release: r, Store: "oxenstored"})
	}
	if len(chosen) == 0 {
		chosen = suite.Targets()
	}
	for i := range chosen {
		if store != "" {
			chosen[i].Store = store
		}
	}
	return chosen, nil
}

// moduleDir finds the module that the current folder belongs to.
func moduleDir() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	file := strings.TrimSpace(string(out))
	if err != nil || file == "" || file == "/dev/null" {
		return "", fmt.Errorf("xenlab builds what it runs: call it in the module's folder, with Go installed")
	}
	return filepath.Dir(file), nil
}
