package main

import "github.com/urfave/cli/v2"

// command returns the command called name in the genuine table, or nil when it
// is not done yet.
func (a *app) command(name string) *cli.Command {
	return nil
}

// ownCommand returns our own verb called name, or nil when there is none.
func (a *app) ownCommand(name string) *cli.Command {
	return nil
}
