package main

import (
	"slices"
	"testing"
	"time"
)

func TestCutWait(t *testing.T) {
	for _, tt := range []struct {
		name     string
		args     []string
		rest     []string
		patience time.Duration
		bad      bool
	}{
		{"nothing", nil, nil, 0, false},
		{"without", []string{"web", "256"}, []string{"web", "256"}, 0, false},
		{"plain", []string{"--wait", "web", "256"}, []string{"web", "256"}, defaultWait, false},
		{"seconds", []string{"--wait=5", "web", "256"}, []string{"web", "256"}, 5 * time.Second, false},
		{"cut short is not ours", []string{"--wai", "web", "256"}, []string{"--wai", "web", "256"}, 0, false},
		{"behind the arguments is not ours", []string{"web", "256", "--wait"}, []string{"web", "256", "--wait"}, 0, false},
		{"no seconds", []string{"--wait=", "web"}, []string{"web"}, 0, true},
		{"none", []string{"--wait=0", "web"}, []string{"web"}, 0, true},
		{"less than none", []string{"--wait=-1", "web"}, []string{"web"}, 0, true},
		{"days", []string{"--wait=86401", "web"}, []string{"web"}, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rest, patience, err := cutWait(tt.args)
			if !slices.Equal(rest, tt.rest) || patience != tt.patience && err == nil || (err != nil) != tt.bad {
				t.Errorf("%q, %s, %v", rest, patience, err)
			}
		})
	}
}
