package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestHelpIsTheGenuineOne compares the help of every command with what the
// genuine xl of Debian's packages printed: testdata/help-4.N.txt holds "xl help"
// and "xl help NAME" for each name, under lines "=== NAME".
func TestHelpIsTheGenuineOne(t *testing.T) {
	files, err := filepath.Glob("testdata/help-4.*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		var minor int
		if _, err := fmt.Sscanf(filepath.Base(file), "help-4.%d.txt", &minor); err != nil {
			t.Fatal(file, err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r := release(minor)
		parts := strings.Split(string(b), "=== ")[1:]
		if got, want := len(parts), len(commandTable(r))+1; got != want {
			t.Errorf("%s has %d texts, want %d", file, got, want)
		}
		for _, part := range parts {
			name, want, _ := strings.Cut(part, "\n")
			got := helpCommand(r, name)
			if name == "help" {
				got = strings.TrimSuffix(helpList(r), ownHelp())
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("4.%d: %s (-genuine +ours)\n%s", minor, name, d)
			}
		}
	}
}
