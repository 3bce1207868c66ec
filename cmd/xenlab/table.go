package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"goxl/lab/suite"
)

// run is what one run of the tests on one host found, for the table.
type run struct {
	Where, Date, Commit string
	Records             []suite.Record
}

// writeTable adds what the records say to the runs that are kept in docs/matrix.json
// and makes the table in file anew of all of them, so that the matrix can be run in
// pieces.
func writeTable(ctx context.Context, module, file string, records []suite.Record) error {
	kept := keptRuns(module)
	runs, err := readKept[run](kept)
	if err != nil {
		return err
	}
	runs = merge(runs, records, time.Now().Format(time.DateOnly), commitOf(ctx, module))
	data, err := json.MarshalIndent(runs, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(kept, append(data, '\n'), 0o644); err != nil {
		return err
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	changed, err := suite.ReplaceTable(string(text), worksTable(runs))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(changed), 0o644)
}

func keptRuns(module string) string { return filepath.Join(module, "docs", "matrix.json") }

// doneBefore is what earlier runs of this commit have done.
func doneBefore(ctx context.Context, module string) (map[string]string, error) {
	runs, err := readKept[run](keptRuns(module))
	if err != nil {
		return nil, err
	}
	commit := commitOf(ctx, module)
	var records []suite.Record
	for _, r := range runs {
		if r.Commit == commit {
			records = append(records, r.Records...)
		}
	}
	return suite.Done(records), nil
}

// readKept reads what earlier runs have left in a file of JSON; nothing while there
// is none.
func readKept[T any](file string) ([]T, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []T
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return all, nil
}

// merge adds records to the runs; an older outcome of the same test on the same
// host gives way.
func merge(runs []run, records []suite.Record, date, commit string) []run {
	type key struct{ where, test string }
	again := map[key]bool{}
	fresh := map[string]*run{}
	for _, r := range records {
		if !suite.InTable(r) {
			continue
		}
		again[key{r.Where, r.Test}] = true
		if fresh[r.Where] == nil {
			fresh[r.Where] = &run{Where: r.Where, Date: date, Commit: commit}
		}
		fresh[r.Where].Records = append(fresh[r.Where].Records, r)
	}
	for i := range runs {
		runs[i].Records = slices.DeleteFunc(runs[i].Records, func(r suite.Record) bool { return again[key{r.Where, r.Test}] })
	}
	runs = slices.DeleteFunc(runs, func(r run) bool { return len(r.Records) == 0 })
	for _, r := range fresh {
		runs = append(runs, *r)
	}
	slices.SortStableFunc(runs, func(a, b run) int { return strings.Compare(a.Where+a.Date, b.Where+b.Date) })
	return runs
}

// worksTable is the Markdown of all runs, and when and of what they were made.
func worksTable(runs []run) string {
	var all []suite.Record
	var notes []string
	for _, r := range runs {
		all = append(all, r.Records...)
		notes = append(notes, fmt.Sprintf("%s on %s at commit %s", r.Where, r.Date, r.Commit))
	}
	text := suite.Table(all)
	if moves := suite.MoveTable(all); moves != "" {
		text += "\nBetween two hosts, from release to release, with a small kernel that checks its memory:\n\n" + moves
	}
	return text + "\nMeasured: " + strings.Join(notes, "; ") + ".\n"
}

// commitOf names the commit of the tree, with "-dirty" when more was changed than what
// the tests write themselves.
func commitOf(ctx context.Context, module string) string {
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = module
		out, err := cmd.Output()
		return strings.TrimSpace(string(out)), err
	}
	commit, err := git("rev-parse", "--short=10", "HEAD")
	if err != nil {
		return "unknown"
	}
	if changed, err := git("status", "--porcelain", "--", ".", ":!README.md", ":!docs/matrix.json"); err != nil || changed != "" {
		commit += "-dirty"
	}
	return commit
}
