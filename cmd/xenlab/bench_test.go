package main

import (
	"strings"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		in   []time.Duration
		want time.Duration
	}{
		{nil, 0},
		{[]time.Duration{7}, 7},
		{[]time.Duration{9, 1, 5}, 5},
		{[]time.Duration{8, 2, 4, 100}, 6},
	} {
		if got := median(tt.in); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.in, got, tt.want)
		}
	}
}

func TestTableShowsRatios(t *testing.T) {
	b := &bench{}
	b.add("list", true, 50*time.Millisecond)
	b.add("list", false, 100*time.Millisecond)
	b.add("create", false, time.Second)
	got := table(b.rows)
	for _, want := range []string{"| list | 50 ms | 100 ms | 0.50 | 1+1 |", "| create | - | 1000 ms | - | 0+1 |"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
