package suite

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// The second table is made of the tests of lab/move: guests that go from one host to
// another, by each pair of tools.
var (
	beside  = regexp.MustCompile(`^Xen (\S+) beside (\S+)$`)
	between = regexp.MustCompile(`^TestLabMove/(pvh|pv)/(\w+)_from_(\w+)_to_(\w+)$`)
)

// way is what a row of the table is about, in the order of the rows.
type way struct{ kind, how, from, to string }

func (w way) String() string {
	kind := strings.ToUpper(w.kind)
	return fmt.Sprintf("%s, %s | %s to %s", kind, strings.ReplaceAll(w.how, "_", " "), w.from, w.to)
}

// wayOf reads a record; false for a test that is not in the table.
func wayOf(r Record) (w way, releases string, ok bool) {
	hosts, m := beside.FindStringSubmatch(r.Where), between.FindStringSubmatch(r.Test)
	if hosts == nil || m == nil {
		return way{}, "", false
	}
	return way{m[1], m[2], m[3], m[4]}, hosts[1] + " to " + hosts[2], true
}

// MoveTable makes a Markdown table of how guests went from host to host: a row for each
// kind of guest, way and pair of tools, a column for each pair of releases; "" when
// there is nothing to tell.
func MoveTable(records []Record) string {
	cells := map[way]map[string]cell{}
	var columns []string
	for _, r := range records {
		w, releases, ok := wayOf(r)
		if !ok {
			continue
		}
		if cells[w] == nil {
			cells[w] = map[string]cell{}
		}
		cells[w][releases] = cells[w][releases].plus(entry{outcome: r.Outcome})
		if !slices.Contains(columns, releases) {
			columns = append(columns, releases)
		}
	}
	if len(cells) == 0 {
		return ""
	}
	slices.Sort(columns)
	var b strings.Builder
	fmt.Fprintf(&b, "| Guest, way | Tools | %s |\n|---|---|%s\n", strings.Join(columns, " | "), strings.Repeat("---|", len(columns)))
	for _, w := range rowsOf(cells) {
		fmt.Fprintf(&b, "| %s |", w)
		for _, column := range columns {
			fmt.Fprintf(&b, " %s |", cells[w][column])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// rowsOf sorts the rows.
func rowsOf(cells map[way]map[string]cell) (rows []way) {
	for w := range cells {
		rows = append(rows, w)
	}
	slices.SortFunc(rows, func(a, b way) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return rows
}
