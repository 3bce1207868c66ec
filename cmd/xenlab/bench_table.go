package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// metric is what a row of the table is about.
type metric struct {
	op, unit string
	// target is how much of the genuine tool's value ours may be; with own set, how
	// much ours may be by itself. 0: none.
	target float64
	own    bool
}

// row is one metric's samples, by program.
type row struct {
	Op            string    `json:"op"`
	Unit          string    `json:"unit,omitempty"`
	Target        float64   `json:"target,omitempty"`
	Own           bool      `json:"own,omitempty"`
	Ours, Genuine []float64 // in the order in which they were taken
}

type rows []*row

func (r *rows) add(m metric, ours bool, samples ...float64) {
	i := slices.IndexFunc(*r, func(s *row) bool { return s.Op == m.op })
	if i < 0 {
		i = len(*r)
		*r = append(*r, &row{Op: m.op, Unit: m.unit, Target: m.target, Own: m.own})
	}
	s := (*r)[i]
	if ours {
		s.Ours = append(s.Ours, samples...)
		return
	}
	s.Genuine = append(s.Genuine, samples...)
}

// ratio is ours by the genuine tool's; 0 while one is missing.
func (r *row) ratio() float64 {
	ours, genuine := median(r.Ours), median(r.Genuine)
	if ours == 0 || genuine == 0 {
		return 0
	}
	return ours / genuine
}

// value is what the target is for; 0 while it is not known.
func (r *row) value() float64 {
	if r.Own {
		return median(r.Ours)
	}
	return r.ratio()
}

// missed reports whether the row has a target and does not meet it, as far as the
// table shows: two digits.
func (r *row) missed() bool {
	return r.Target > 0 && math.Round(r.value()*100) > math.Round(r.Target*100)
}

func (r *row) line() string {
	value := func(samples []float64) string {
		switch {
		case len(samples) == 0:
			return "-"
		case r.Unit == "times":
			return fmt.Sprintf("%.2f", median(samples))
		}
		return strings.TrimSpace(fmt.Sprintf("%.0f %s", median(samples), r.Unit))
	}
	ratio, target, met := "-", "", ""
	if r.ratio() > 0 {
		ratio = fmt.Sprintf("%.2f", r.ratio())
	}
	if r.Target > 0 {
		target = strings.TrimSuffix(fmt.Sprintf("%.2f", r.Target), "0")
		if r.Own {
			target = "ours " + target
		}
	}
	switch {
	case r.missed():
		met = "**no**"
	case r.Target > 0 && r.value() > 0:
		met = "yes"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %d+%d |\n", r.Op, value(r.Ours), value(r.Genuine), ratio, target, met, len(r.Ours), len(r.Genuine))
}

// piece is what one part of the benchmark measured. bench/samples.json has one of each
// part, so that the table can be made in pieces.
type piece struct {
	Part, Date, Commit, About string
	Rows                      rows
}

// piece takes what was measured since the last one.
func (b *bench) piece(ctx context.Context, part, module string) (piece, error) {
	about, err := b.describe(ctx)
	if err != nil {
		return piece{}, err
	}
	p := piece{Part: part, Date: time.Now().UTC().Format(time.DateOnly), Commit: benchCommit(ctx, module), About: about, Rows: b.rows}
	b.rows = nil
	return p, nil
}

// benchCommit names the commit of what is measured. That the table and the samples
// have changed since does not make it another.
func benchCommit(ctx context.Context, module string) string {
	git := func(args ...string) string {
		out, _ := exec.CommandContext(ctx, "git", append([]string{"-C", module}, args...)...).Output()
		return strings.TrimSpace(string(out))
	}
	commit := cmp.Or(git("rev-parse", "--short=10", "HEAD"), "unknown")
	if git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!bench") != "" {
		commit += " and changes"
	}
	return commit
}

func readPieces(dir string) ([]piece, error) {
	return readKept[piece](filepath.Join(dir, "samples.json"))
}

// keep puts a piece in the place of an older one of its part, and makes the table
// anew.
func keep(dir string, p piece) error {
	all, err := readPieces(dir)
	if err != nil {
		return err
	}
	all = append(slices.DeleteFunc(all, func(old piece) bool { return old.Part == p.Part }), p)
	order := func(p piece) int { return slices.IndexFunc(parts, func(q part) bool { return q.name == p.Part }) }
	slices.SortStableFunc(all, func(a, b piece) int { return order(a) - order(b) })
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "samples.json"), append(data, '\n'), 0o644); err != nil {
		return err
	}
	_, err = writeBenchTable(dir)
	return err
}

// writeBenchTable makes bench/table.md of the pieces and the notes, and returns it.
func writeBenchTable(dir string) (string, error) {
	all, err := readPieces(dir)
	if err != nil {
		return "", err
	}
	f, err := os.Open(filepath.Join(dir, "notes.txt"))
	if err != nil {
		return "", err
	}
	defer f.Close()
	notes, err := readNotes(f)
	if err != nil {
		return "", fmt.Errorf("bench/notes.txt: %w", err)
	}
	text := benchTable(all, notes)
	return text, os.WriteFile(filepath.Join(dir, "table.md"), []byte(text), 0o644)
}

// benchTable is the Markdown of what was measured: medians, ratios, why a target is
// missed, and where each part comes from.
func benchTable(all []piece, notes map[string]string) string {
	var b, why, from strings.Builder
	b.WriteString("# Ours and the genuine xl, in turn on the same hosts\n\nMade by `make bench`. Medians; a ratio below 1 says that ours needs less. " +
		"The targets are for the ratio, but where they say \"ours\". The guests of \"create\" and \"destroy\" boot Debian's kernel with 192 MiB, " +
		"a disk and a network device, from examples/; the others are mini guests (lab/mini). Where a row names the kernel or QEMU, that is what serves the disks of " +
		"\"genuine\", and blkback those of \"ours\". On an emulated machine only the ratios mean anything.\n\n" +
		"| Operation | ours | genuine | ratio | target | met | samples |\n|---|---:|---:|---:|---:|---|---:|\n")
	for _, p := range all {
		fmt.Fprintf(&from, "- %s: %s, commit %s, %s\n", p.Part, p.Date, p.Commit, p.About)
		for _, r := range p.Rows {
			b.WriteString(r.line())
			if r.missed() {
				fmt.Fprintf(&why, "- %s: %s\n", r.Op, cmp.Or(notes[r.Op], "not looked into yet"))
			}
		}
	}
	if why.Len() > 0 {
		b.WriteString("\nWhy a target is missed, and what would close it:\n\n" + why.String())
	}
	b.WriteString("\nWhen, of what and on what, by part:\n\n" + from.String())
	return b.String()
}

// readNotes reads lines "operation: why its target is missed". Lines that begin with
// # are comments.
func readNotes(r io.Reader) (map[string]string, error) {
	notes := map[string]string{}
	s := bufio.NewScanner(r)
	for s.Scan() {
		line := strings.TrimSpace(s.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		op, why, ok := strings.Cut(line, ": ")
		if !ok {
			return nil, fmt.Errorf("%q is not \"operation: why\"", line)
		}
		notes[op] = why
	}
	return notes, s.Err()
}

// describe says on what the samples were taken.
func (b *bench) describe(ctx context.Context) (string, error) {
	const ask = `xl info | awk -F': *' '/^(xen_version|nr_cpus|total_memory)/ {sub(/ *$/, "", $1); printf "%s %s, ", $1, $2}'; uname -r`
	guest, err := b.host.Output(ctx, ask)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("emulated: %s (Linux in dom0); underneath: %s", strings.TrimSpace(guest), machineText()), nil
}

// machineText describes the machine that emulates.
func machineText() string {
	model, cpus := "unknown processor", 0
	data, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "processor":
			cpus++
		case "model name":
			model = strings.TrimSpace(value)
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%s, %d processors, load %s at the end", model, cpus, first)
}

// median of the samples, the mean of the two in the middle when their number is even.
func median(samples []float64) float64 {
	if len(samples) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(samples))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}
