package dom0

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

// Supervisors are the processes that follow guests of ours.
func Supervisors(t *testing.T) []int {
	t.Helper()
	all, err := processes("xl goxl-supervise")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// processes returns those whose command line matches the pattern.
func processes(pattern string) ([]int, error) {
	out, err := exec.Command("pgrep", "-f", pattern).Output()
	if err != nil {
		return nil, nil // none
	}
	var all []int
	for f := range strings.FieldsSeq(string(out)) {
		n, err := strconv.Atoi(f)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}
