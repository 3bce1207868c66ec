package main

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"goxl/xenstore"
	"goxl/xenstore/wire"
)

// doer sends what the typed methods cannot spell: the genuine tool passes any
// number as a domain id, and leaves its judgement to the store.
type doer interface {
	Do(ctx context.Context, op wire.Op, payload []byte) ([]byte, error)
}

// parsePerms turns the arguments of chmod into the list that travels.
func parsePerms(args []string) ([]string, error) {
	perms := make([]string, 0, len(args))
	for _, a := range args {
		if a == "" || !strings.Contains("nrwb", a[:1]) {
			return nil, fatalf("Invalid permission specification: '%s'", firstByte(a))
		}
		perms = append(perms, a[:1]+strconv.Itoa(int(atoi(a[1:]))))
	}
	return perms, nil
}

// firstByte is what printf's %c prints of a C string's first byte.
func firstByte(s string) string {
	if s == "" {
		return "\x00"
	}
	return s[:1]
}

// chmod sets the permissions of path and, as asked, of every node above it but
// the root, and of all below.
func (t *tool) chmod(ctx context.Context, s xenstore.Store, path string, perms []string, upto, recurse bool) error {
	if path == "" {
		return nil
	}
	payload := wire.AppendStrings(wire.AppendStrings(nil, path), perms...)
	if _, err := s.(doer).Do(ctx, wire.OpSetPerms, payload); err != nil {
		return fatal(err, "Error occurred setting permissions on '%s'", path)
	}
	if upto {
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			return fatalf("Unable to locate path separator '/' in '%s'", path)
		}
		if err := t.chmod(ctx, s, path[:i], perms, true, false); err != nil {
			return err
		}
	}
	if recurse {
		names, err := s.List(ctx, path)
		if err != nil {
			return nil
		}
		for _, n := range names {
			if err := t.chmod(ctx, s, path+"/"+n, perms, false, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// showPerms spells a permission list as ls prints it, like libxenstore: numbers
// of any base come out decimal, and of 32 bits.
func showPerms(payload []byte) (string, error) {
	var out []string
	for len(payload) > 0 {
		s, rest, ok := wire.CutString(payload)
		if !ok {
			break
		}
		payload = rest
		if s == "" || !strings.Contains("nrwb", s[:1]) {
			return "", errBadPerms
		}
		v, err := strconv.ParseInt(s[1:], 0, 64)
		if err != nil && !errors.Is(err, strconv.ErrRange) {
			return "", errBadPerms
		}
		out = append(out, s[:1]+strconv.Itoa(int(int32(v))))
	}
	return strings.Join(out, ","), nil
}

var errBadPerms = wire.Error("EINVAL")
