package suite

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The table is made of the tests of lab/interop: the life of Debian's kernel, with
// one subtest for each operation, and the moves and the reboot of the mini guest.
var (
	lifecycle = regexp.MustCompile(`^TestLabLifecycle/(pvh|pv)/made_by_(\w+)_and_driven_by_(\w+)/(.+)$`)
	moved     = regexp.MustCompile(`^TestLabMove/(pvh|pv)/(\w+)_from_(\w+)_to_(\w+)$`)
	lived     = regexp.MustCompile(`^TestLabMini/(pvh|pv)/made_by_(\w+)$`)
)

// movedRow is the row of a way in which a mini guest was moved.
var movedRow = map[string]string{"saved_and_restored": "save, restore", "migrated_live": "live migration"}

// release finds the release in the name of a target with one host.
var release = regexp.MustCompile(`^Xen (\S+) with`)

// entry is what one test says for the table.
type entry struct {
	row, column string
	pair        string // who made and who drove the guest, or who sent and who received it
	mini        bool   // seen with the mini guest
	outcome     string
}

// entryOf reads a record; false for a test that is not in the table.
func entryOf(r Record) (e entry, ok bool) {
	rel := release.FindStringSubmatch(r.Where)
	if rel == nil {
		return entry{}, false
	}
	e.outcome = r.Outcome
	kind := ""
	if m := lifecycle.FindStringSubmatch(r.Test); m != nil {
		kind, e.row, e.pair = m[1], strings.ReplaceAll(m[4], "_", " "), m[2]+"/"+m[3]
	} else if m := moved.FindStringSubmatch(r.Test); m != nil {
		kind, e.row, e.pair, e.mini = m[1], movedRow[m[2]], m[3]+"/"+m[4], true
	} else if m := lived.FindStringSubmatch(r.Test); m != nil {
		kind, e.row, e.pair, e.mini = m[1], "reboot", m[2]+"/genuine", true
	}
	e.column = strings.ToUpper(kind) + " on " + rel[1]
	return e, e.row != ""
}

// InTable reports whether a result is one that the tables are made of.
func InTable(r Record) bool {
	_, ok := entryOf(r)
	_, _, between := wayOf(r)
	return ok || between
}

// cell is one place of the table: how an operation came out, for all pairs together.
type cell struct{ pass, mini, fail, skip int }

func (c cell) String() string {
	switch {
	case c.fail > 0:
		return "**no**"
	case c.pass > 0:
		return "yes"
	case c.mini > 0:
		return "mini"
	case c.skip > 0:
		return "n/a"
	}
	return ""
}

func (c cell) plus(e entry) cell {
	switch {
	case e.outcome == "fail":
		c.fail++
	case e.outcome == "skip":
		c.skip++
	case e.mini:
		c.mini++
	default:
		c.pass++
	}
	return c
}

// Table makes a Markdown table of what worked where: a row for each operation, a
// column for each guest type and release. Below it stands which pairs of tools the
// columns are from.
func Table(records []Record) string {
	cells, pairs := map[string]map[string]cell{}, map[string][]string{}
	var rows, columns []string
	entries := entriesOf(records)
	for _, e := range entries {
		if cells[e.row] == nil {
			rows, cells[e.row] = append(rows, e.row), map[string]cell{}
		}
		cells[e.row][e.column] = cells[e.row][e.column].plus(e)
		if !slices.Contains(columns, e.column) {
			columns = append(columns, e.column)
		}
		if !e.mini && !slices.Contains(pairs[e.column], e.pair) {
			pairs[e.column] = append(pairs[e.column], e.pair)
		}
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
	b.WriteString("\nMade by and driven by:")
	for i, column := range columns {
		slices.Sort(pairs[column])
		fmt.Fprintf(&b, "%s %s %s", []string{"", ";"}[min(i, 1)], column, cmp.Or(strings.Join(pairs[column], ", "), "mini guest only"))
	}
	return b.String() + ".\n"
}

// entriesOf reads the records, those of the life of Debian's kernel first: its
// operations are the rows, in their order.
func entriesOf(records []Record) []entry {
	var all []entry
	for _, r := range records {
		if e, ok := entryOf(r); ok {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int {
		return cmp.Compare(fmt.Sprint(a.mini), fmt.Sprint(b.mini))
	})
	return all
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
