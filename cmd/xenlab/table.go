package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"goxl/lab/suite"
)

// writeTable puts the table of what worked where into file, with today's date
// and the module's commit.
func writeTable(ctx context.Context, module, file string, records []suite.Record) error {
	git := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty", "--abbrev=10")
	git.Dir = module
	out, err := git.Output()
	commit := strings.TrimSpace(string(out))
	if err != nil {
		commit = "unknown"
	}
	table := suite.Table(records) + fmt.Sprintf("\nMeasured on %s at commit %s.\n", time.Now().Format(time.DateOnly), commit)
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	changed, err := suite.ReplaceTable(string(text), table)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.WriteFile(file, []byte(changed), 0o644)
}
