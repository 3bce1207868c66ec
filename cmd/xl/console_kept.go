package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	consoled "goxl/backends/console"
)

// keptConsole writes the last output of a domain, which may have ended: its name is
// enough, or the id of one that lives. Back counts earlier domains of that name.
func (a *app) keptConsole(ctx context.Context, arg string, back int) error {
	name := arg
	if id, err := a.host.domains.Find(ctx, arg); err == nil {
		if n, err := a.host.domains.Name(ctx, id); err == nil {
			name = n
		}
	}
	dir := consoled.TailDir
	if a.host.paths.State != "" {
		dir = filepath.Join(a.host.paths.State, filepath.Base(dir))
	}
	_, text, err := consoled.ReadTail(dir, name, back)
	switch {
	case errors.Is(err, fs.ErrNotExist) && back > 0:
		return failf(nil, "%s: no output of %d domains of this name before the last is kept", name, back)
	case errors.Is(err, fs.ErrNotExist):
		return failf(nil, "%s: no output of a domain of this name is kept; goxl's console daemon, consoled, keeps it", name)
	case err != nil:
		return failf(err, "cannot show the console's last output")
	}
	_, err = a.out.Write(text)
	return err
}
