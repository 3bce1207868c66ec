package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"goxl/xenstore"
	"goxl/xenstore/wire"
)

// maxPath bounds the paths that ls composes; one that is longer shows no value.
const maxPath = wire.MaxAbsPath + 1024

// tagLen is the room that ls keeps for ` = "..."`.
const tagLen = 8

// lister prints a tree. Widths are counted as the genuine tool does.
type lister struct {
	*tool
	maxWidth int // of a line; negative is no limit
	desired  int // where permissions are aligned
}

func (t *tool) ls(ctx context.Context) error {
	l := &lister{tool: t, maxWidth: 80, desired: 60}
	if t.flat {
		l.maxWidth, l.desired = math.MaxInt32/2, 0
	}
	if cols, ok := t.columns(); ok { // even when flat
		l.maxWidth = cols - 2
	}
	args := t.args
	if len(args) == 0 {
		args = []string{"/"}
	}
	for _, path := range args {
		names, err := t.client.List(ctx, path)
		if err != nil {
			return fatal(err, "xs_directory (%s)", path)
		}
		if err := l.level(ctx, path, names, 0); err != nil {
			return err
		}
	}
	return nil
}

// child is what is asked of one child at once, since round trips are what costs.
type child struct {
	name, path         string
	value, perms, list *xenstore.Reply
}

// levelStep is for how many children is asked at once.
const levelStep = 64

// level prints the children of path and all below them.
func (l *lister) level(ctx context.Context, path string, names []string, depth int) error {
	for len(names) > 0 {
		step := names[:min(len(names), levelStep)]
		names = names[len(step):]
		children, err := l.ask(ctx, path, step)
		if err != nil {
			return err
		}
		for _, c := range children {
			l.line(c, depth)
			below, err := c.list.Names()
			if err != nil { // perhaps only too long for one reply
				below, err = l.client.List(ctx, c.path)
			}
			switch {
			case errors.Is(err, xenstore.ErrNotFound): // gone in the meantime
			case err != nil:
				return fatal(err, "xs_directory (%s)", c.path)
			default:
				if err := l.level(ctx, c.path, below, depth+1); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (l *lister) ask(ctx context.Context, path string, names []string) ([]child, error) {
	var b xenstore.Batch
	children := make([]child, 0, len(names))
	for _, name := range names {
		c := child{name: name, path: path + "/" + name}
		if strings.HasSuffix(path, "/") {
			c.path = path + name
		}
		if len(c.path) < maxPath {
			c.value = b.Read(c.path)
		} else {
			c.path = c.path[:maxPath-1]
		}
		if l.prefix {
			c.perms = b.Do(wire.OpGetPerms, wire.AppendStrings(nil, c.path))
		}
		c.list = b.List(c.path)
		children = append(children, c)
	}
	if err := l.client.Send(ctx, &b); err != nil {
		return nil, fatal(err, "xs_directory (%s)", path)
	}
	return children, nil
}

// line prints one node.
func (l *lister) line(c child, depth int) {
	width := 0
	if l.flat {
		fmt.Fprint(l.stdout, c.path)
	} else {
		name := cut(c.name, l.maxWidth-tagLen-depth)
		fmt.Fprint(l.stdout, strings.Repeat(" ", depth), name)
		width = depth + len(name)
	}
	l.value(c, width)
	if c.perms != nil {
		l.perms(c)
	}
	fmt.Fprintln(l.stdout)
}

// value prints a node's value, cut to the line, and dots up to the permissions.
func (l *lister) value(c child, width int) {
	value, err := "", error(nil)
	if c.value != nil {
		value, err = c.value.Value()
	}
	switch {
	case c.value == nil || err != nil:
		fmt.Fprintln(l.stdout, ":")
	case l.maxWidth >= 0 && l.maxWidth < width+len(value)+tagLen:
		fmt.Fprintf(l.stdout, ` = "%s\..."`, cut(quote(value), l.maxWidth-tagLen-width))
	default:
		n, _ := fmt.Fprintf(l.stdout, ` = "%s"`, quote(value))
		width += n
		if !l.prefix {
			return
		}
		fmt.Fprint(l.stdout, " ")
		for width++; width < min(l.desired, l.maxWidth); width++ {
			fmt.Fprint(l.stdout, string(" ."[width&1]))
		}
	}
}

func (l *lister) perms(c child) {
	payload, err := c.perms.Payload()
	text := ""
	if err == nil {
		text, err = showPerms(payload)
	}
	if err != nil {
		l.flush()
		l.warnf("\ncould not access permissions for %s: %s", c.name, strerror(err))
		return
	}
	fmt.Fprintf(l.stdout, "  (%s)", text)
}

// cut is printf's %.*s: a negative precision is none.
func cut(s string, n int) string {
	if n < 0 || n > len(s) {
		return s
	}
	return s[:n]
}
