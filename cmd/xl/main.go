package main

import (
	"context"
	"os"

	_ "goxl/cmd/internal/calm"
)

func main() {
	os.Exit(run(context.Background(), os.Args, surroundings{
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		release: sysfsRelease,
		connect: openHost,
		conf:    xlConf,

		supervise: spawnSupervisor,
		begin:     allowGarbage,
	}))
}
