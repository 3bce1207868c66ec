package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"goxl/xenctrl/abi"
)

// configUpdateCommand is "xl config-update <Domain> <ConfigFile> [options] [vars]".
// The domain and the file may stand before the options. The text is used when the
// guest is rebooted the next time.
func configUpdateCommand(a *app) *command {
	var id abi.DomID
	debug := false
	c := &creating{dryRun: a.globals.dryRun}
	b := body{
		table: optionTable{"dqf:", []longOption{{"defconfig", true, 'f'}}},
		opt: func(letter byte, arg string) error {
			switch letter {
			case 'd':
				debug = true
			case 'f':
				c.file = arg
			}
			return nil
		},
		run: func(ctx context.Context, args []string) error {
			if !c.arguments(args) {
				a.out.WriteString(helpCommand(a.release, "create")) // of the wrong command, as the genuine xl
				return exitStatus(2)
			}
			return a.updateConfig(ctx, c, id, debug)
		},
	}.afterFile(&c.file)
	// The genuine xl asks for help under a name that is no command.
	cmd := a.new("config_update", b)
	update := cmd.run
	cmd.run = func(ctx context.Context, args []string) error {
		if len(args) == 0 {
			a.out.WriteString(helpCommand(a.release, "config-update"))
			return failf(nil, "xl config-update requires a domain argument")
		}
		fmt.Fprint(a.env.stderr, "WARNING: xl now has better capability to manage domain configuration, "+
			"avoid using this command when possible\n")
		var err error
		if id, err = a.domain(ctx, args[0]); err != nil {
			return err
		}
		return update(ctx, args)
	}
	return cmd
}

// updateConfig keeps a configuration for a domain, if it is one.
func (a *app) updateConfig(ctx context.Context, c *creating, id abi.DomID, debug bool) error {
	if c.file == "" {
		return failf(nil, "Config file not specified")
	}
	src, err := os.ReadFile(c.file)
	if err != nil {
		return &failure{status: 253, text: fmt.Sprintf("Failed to read config file: %s: %s", c.file, strerror(err)),
			cause: &noFile{err}, said: true}
	}
	spec, err := a.parseConfig(c.file, src, c.overrides, false)
	if err != nil {
		return err
	}
	if debug || c.dryRun {
		if err := a.showUpdate(spec); err != nil {
			return err
		}
	}
	if c.dryRun {
		return nil
	}
	if len(c.overrides) > 0 {
		src = append(src, "\n"+strings.Join(c.overrides, "\n")+"\n\n"...)
	}
	fmt.Fprintf(a.env.stderr, "setting dom%d configuration\n", id)
	if err := a.host.domains.UpdateConfig(ctx, id, src); err != nil {
		return failf(err, "failed to update configuration")
	}
	return nil
}
