package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"goxl/xenstore/server"
)

// tools are the names by which the command may be invoked.
var tools = []string{
	"xenstore", "xenstore-ls", "xenstore-read", "xenstore-write", "xenstore-rm",
	"xenstore-list", "xenstore-exists", "xenstore-chmod", "xenstore-watch", "xenstore-control",
}

func TestMain(m *testing.M) {
	commands := make(map[string]func())
	for _, name := range append(tools, "xenstore-frob") {
		commands[name] = main
	}
	testscript.Main(m, commands)
}

// TestScripts runs the tools as processes against a store in this one.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:      "testdata/script",
		Deadline: time.Now().Add(time.Minute), // also for a tool that waits for ever
		Setup: func(e *testscript.Env) error {
			dir, err := os.MkdirTemp("", "xs") // socket paths are short
			if err != nil {
				return err
			}
			srv := server.New(server.Options{})
			e.Defer(func() { srv.Close(); os.RemoveAll(dir) })
			socket := filepath.Join(dir, "s")
			e.Setenv("XENSTORED_PATH", socket)
			return srv.Listen(socket)
		},
	})
}
