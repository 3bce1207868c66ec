package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"goxl/domains/config"
	"goxl/migrate"
	"goxl/migrate/stream"
)

// restoreCommand is "xl restore [options] [<ConfigFile>] <CheckpointFile>".
func restoreCommand(a *app) *command {
	c := &creating{}
	return a.new("restore", body{
		table: optionTable{"FcpdeVA", []longOption{
			{"vncviewer", false, 'V'}, {"vncviewer-autopass", false, 'A'},
		}},
		min: 1,
		opt: c.option,
		run: func(ctx context.Context, args []string) error {
			file := args[0]
			switch len(args) {
			case 1:
			case 2:
				c.file, file = args[0], args[1]
			default:
				a.out.WriteString(helpCommand(a.release, "restore"))
				return exitStatus(2)
			}
			return a.restore(ctx, c, file)
		},
	})
}

// restore goes on with a guest that was saved to a file.
func (a *app) restore(ctx context.Context, c *creating, file string) error {
	f, err := openCounted(file)
	if err != nil {
		return saidf(err, "Can't open restore file: %s", strerror(err))
	}
	defer f.Close()
	in, err := a.openSaved(file, f)
	if err != nil {
		return err
	}
	if err := a.chooseConfig(c, in); err != nil {
		return err
	}
	line := a.progressTo()
	defer line.end()
	c.incoming, in.Progress = in, line.restoring(f)
	if c.debug {
		if err := a.showConfig(in.Spec, true); err != nil {
			return err
		}
	}
	err = a.start(ctx, c, in.Spec)
	var failed *failure
	if errors.As(err, &failed) {
		failed.status = 1
	}
	return err
}

// openSaved reads the header of a save file and says what the genuine xl says.
func (a *app) openSaved(file string, f io.Reader) (*migrate.Incoming, error) {
	in, err := migrate.Open(f)
	if err != nil {
		return nil, savedFailure(file, err)
	}
	a.showSaved(file, in)
	return in, nil
}

func (a *app) showSaved(file string, in *migrate.Incoming) {
	fmt.Fprintf(a.env.stderr, "Loading new save file %s (new xl fmt %s)\n", file, headerInfo(&in.Header, in.Compressed()))
	if in.Spec != nil {
		fmt.Fprintf(a.env.stderr, " Savefile contains xl domain config in JSON format\n")
	}
}

// savedFailure is a file that is no saved guest.
func savedFailure(file string, err error) error {
	if errors.Is(err, stream.ErrStream) || errors.Is(err, errors.ErrUnsupported) {
		return failf(fmt.Errorf("%s: %w", file, err), "File has wrong magic number - corrupt or for a different tool?")
	}
	return failf(fmt.Errorf("%s: %w", file, err), "Savefile truncated.")
}

// chooseConfig takes the configuration from the command line instead of the
// saved one where there is one, and applies the host's own settings to it.
func (a *app) chooseConfig(c *creating, in *migrate.Incoming) error {
	if c.file != "" {
		spec, err := a.readConfig(c)
		in.Spec = spec
		return err
	}
	if in.Spec == nil {
		return &failure{status: 1, text: "Config file not specified and none in save file"}
	}
	if !c.quiet {
		fmt.Fprintln(a.env.stderr, "Parsing config from <saved>")
	}
	return a.applyMasks(in.Spec)
}

// applyMasks restricts a guest's CPUs to what xl.conf allows.
func (a *app) applyMasks(spec *config.Spec) error {
	opts, err := a.host.parseOptions("", nil)
	if err != nil {
		return err
	}
	return configFailure(a.host.conf.ApplyCPUMasks(spec, opts.Host))
}
