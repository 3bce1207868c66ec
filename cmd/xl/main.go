package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args, surroundings{
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		release: sysfsRelease,
		connect: openHost,
		conf:    xlConf,

		supervise:  spawnSupervisor,
		processors: useProcessors,
	}))
}
