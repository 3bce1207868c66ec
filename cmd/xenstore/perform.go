package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"goxl/xenstore"
)

// perform runs the mode, in a transaction where the genuine tools use one, and
// again when that met a conflict.
func (t *tool) perform(ctx context.Context) error {
	switch {
	case t.mode == "ls":
		return t.ls(ctx)
	case t.mode == "watch":
		return t.watch(ctx)
	case t.mode == "read" && len(t.args) == 1, t.mode == "write" && len(t.args) == 2:
		return t.once(ctx, t.client)
	}
	for {
		tx, err := t.client.Begin(ctx)
		if err != nil {
			return fatalf("couldn't start transaction")
		}
		t.out = t.out[:0]
		failure := t.once(ctx, tx)
		if failure != nil {
			tx.Abort()
			return failure
		}
		if err := tx.Commit(ctx); err == nil {
			return nil
		} else if !errors.Is(err, xenstore.ErrConflict) {
			t.out = nil
			return fatalf("couldn't end transaction")
		}
	}
}

// once runs the mode on its arguments.
func (t *tool) once(ctx context.Context, s xenstore.Store) error {
	if t.mode == "chmod" {
		perms, err := parsePerms(t.args[1:])
		if err != nil {
			return err
		}
		return t.chmod(ctx, s, t.args[0], perms, t.upto, t.recurse)
	}
	for i := 0; i < len(t.args); i++ {
		var err error
		switch t.mode {
		case "read":
			err = t.read(ctx, s, t.args[i])
		case "list":
			err = t.list(ctx, s, t.args[i])
		case "write":
			err = t.write(ctx, s, t.args[i], t.args[i+1])
			i++
		case "rm":
			err = t.rm(ctx, s, t.args[i])
		case "exists":
			if _, rerr := s.Read(ctx, t.args[i]); rerr != nil {
				err = &exit{code: 1}
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tool) read(ctx context.Context, s xenstore.Store, path string) error {
	v, err := s.Read(ctx, path)
	if err != nil {
		return fatalf("couldn't read path %s", path)
	}
	if t.prefix {
		t.out = fmt.Appendf(t.out, "%s: ", path)
	}
	if t.raw {
		t.out = append(t.out, v...)
	} else {
		t.out = append(append(t.out, quote(v)...), '\n')
	}
	return nil
}

func (t *tool) write(ctx context.Context, s xenstore.Store, path, value string) error {
	if !t.raw {
		value = unquote(value)
	}
	if s.Write(ctx, path, value) != nil {
		return fatalf("could not write path %s", path)
	}
	return nil
}

func (t *tool) list(ctx context.Context, s xenstore.Store, path string) error {
	names, err := s.List(ctx, path)
	if err != nil {
		return fatalf("could not list path %s", path)
	}
	prefix := ""
	if t.prefix {
		prefix = path + "/"
		if path == "/" && t.release >= 22 {
			prefix = "/"
		}
	}
	for _, n := range names {
		t.out = fmt.Appendf(t.out, "%s%s\n", prefix, n)
	}
	return nil
}

// rm removes path and, when tidy, every node above it that it leaves empty,
// without a value.
func (t *tool) rm(ctx context.Context, s xenstore.Store, path string) error {
	for {
		if s.Rm(ctx, path) != nil {
			return fatalf("could not remove path %s", path)
		}
		i := strings.LastIndexByte(path, '/')
		if !t.tidy || i < 0 {
			return nil
		}
		path = path[:i]
		if v, err := s.Read(ctx, path); err != nil || v != "" {
			return nil
		}
		if names, err := s.List(ctx, path); err != nil || len(names) > 0 {
			return nil
		}
	}
}

// watch prints the path of every event, the first ones included.
func (t *tool) watch(ctx context.Context) error {
	var w *xenstore.Watch
	seen := make(map[string]bool)
	for _, path := range t.args {
		var opts []xenstore.WatchOption
		if t.depth >= 0 {
			opts = append(opts, xenstore.Depth(int(t.depth)))
		}
		err := error(syscall.EEXIST)
		switch {
		case seen[path]:
		case w == nil:
			w, err = t.client.Watch(ctx, path, opts...)
		default:
			err = w.Add(ctx, path, opts...)
		}
		if err != nil && t.depth >= 0 {
			return fatalf("Unable to add watch on %s with depth %d\n", path, t.depth)
		}
		if err != nil {
			return fatalf("Unable to add watch on %s\n", path)
		}
		seen[path] = true
	}
	for n := int32(0); t.number == -1 || n < t.number; n++ {
		e, ok := <-w.Events()
		if !ok {
			return fatalf("%v", w.Err())
		}
		fmt.Fprintln(t.stdout, e.Path)
		t.flush()
	}
	return nil
}
