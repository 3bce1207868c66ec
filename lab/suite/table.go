package suite

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// lifecycle recognises the tests that the table is made of: those of
// lab/interop, one subtest for each operation in a guest's life.
var lifecycle = regexp.MustCompile(`^TestLabLifecycle/(pvh|pv)/([^/]+)/(.+)$`)

// release finds the release in a target's name.
var release = regexp.MustCompile(`^Xen (\S+)`)

// InTable reports whether a result is one that the table is made of.
func InTable(r Record) bool { return lifecycle.MatchString(r.Test) }

// cell is one place of the table: how an operation came out, for all pairs of
// makers and drivers together.
type cell struct{ pass, fail, skip int }

func (c cell) String() string {
	switch {
	case c.fail > 0:
		return "**no**"
	case c.pass > 0:
		return "yes"
	case c.skip > 0:
		return "n/a"
	}
	return ""
}

// Table makes a Markdown table of what worked where: a row for each operation, a
// column for each guest type and release.
func Table(records []Record) string {
	cells := map[string]map[string]cell{}
	var rows, columns []string
	for _, r := range records {
		m, rel := lifecycle.FindStringSubmatch(r.Test), release.FindStringSubmatch(r.Where)
		if m == nil || rel == nil {
			continue
		}
		row, column := strings.ReplaceAll(m[3], "_", " "), strings.ToUpper(m[1])+" on "+rel[1]
		if cells[row] == nil {
			rows, cells[row] = append(rows, row), map[string]cell{}
		}
		if !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
		cells[row][column] = cells[row][column].plus(r.Outcome)
	}
	slices.Sort(columns)
	var b strings.Builder
	fmt.Fprintf(&b, "| Operation | %s |\n|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s |", row)
		for _, column := range columns {
			fmt.Fprintf(&b, " %s |", cells[row][column])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func (c cell) plus(outcome string) cell {
	switch outcome {
	case "pass":
		c.pass++
	case "fail":
		c.fail++
	default:
		c.skip++
	}
	return c
}

// The table stands between these lines.
const (
	tableBegin = "<!-- what works: written by make matrix -->\n"
	tableEnd   = "<!-- end of what works -->\n"
)

// ReplaceTable returns text with table in the place that its marks show.
func ReplaceTable(text, table string) (string, error) {
	before, rest, ok := strings.Cut(text, tableBegin)
	_, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		return "", errors.New("the marks of the table are missing: " + strings.TrimSpace(tableBegin) + " and " + strings.TrimSpace(tableEnd))
	}
	return before + tableBegin + table + tableEnd + after, nil
}
