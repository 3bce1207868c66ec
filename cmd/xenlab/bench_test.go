package main

import (
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		in   []float64
		want float64
	}{
		{nil, 0},
		{[]float64{7}, 7},
		{[]float64{9, 1, 5}, 5},
		{[]float64{8, 2, 4, 100}, 6},
	} {
		if got := median(tt.in); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.in, got, tt.want)
		}
	}
}

// A row shows medians, their ratio, and whether the target is met; a missed one is
// explained by its note.
func TestBenchTable(t *testing.T) {
	var r rows
	list := metric{op: "list", unit: "ms", target: 0.8}
	r.add(list, true, 50, 70, 60)
	r.add(list, false, 100)
	r.add(metric{op: "create", unit: "ms", target: 0.3}, true, 40)
	r.add(metric{op: "create", unit: "ms", target: 0.3}, false, 100)
	r.add(metric{op: "save", unit: "ms", target: 1}, true, 100.4)
	r.add(metric{op: "save", unit: "ms", target: 1}, false, 100)
	r.add(metric{op: "growth", unit: "times", target: 1.1, own: true}, true, 1.2)
	r.add(metric{op: "new", unit: "KiB"}, true, 7)
	r.add(metric{op: "half", unit: "ms", target: 1}, true, 7)
	notes, err := readNotes(strings.NewReader("# a comment\n\ncreate: it unpacks: twice.\nsave: as slow as theirs.\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := benchTable([]piece{{Part: "lives", Date: "2030-01-02", Commit: "abc", About: "a machine", Rows: r}}, notes)
	for _, want := range []string{
		"\n- lives: 2030-01-02, commit abc, a machine\n",
		"| list | 60 ms | 100 ms | 0.60 | 0.8 | yes | 3+1 |\n",
		"| create | 40 ms | 100 ms | 0.40 | 0.3 | **no** | 1+1 |\n",
		"| save | 100 ms | 100 ms | 1.00 | 1.0 | yes | 1+1 |\n",
		"| growth | 1.20 | - | - | ours 1.1 | **no** | 1+0 |\n",
		"| half | 7 ms | - | - | 1.0 |  | 1+0 |\n",
		"| new | 7 KiB | - | - |  |  | 1+0 |\n",
		"\n- create: it unpacks: twice.\n- growth: not looked into yet\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "as slow as theirs") {
		t.Errorf("a note on a target that is met:\n%s", got)
	}
	if _, err := readNotes(strings.NewReader("no operation\n")); err == nil {
		t.Error("a line without an operation was taken")
	}
}
