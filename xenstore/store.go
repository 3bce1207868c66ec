package xenstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"syscall"

	"goxl/xenstore/wire"
)

// Store is what a Client and a transaction both offer. Values are raw bytes in
// Go strings. A path is absolute, or relative to the caller's own
// /local/domain/<id>; which paths may exist is the store's to judge.
type Store interface {
	// Read returns the value of a node; a directory's is usually empty.
	Read(ctx context.Context, path string) (string, error)
	// Write sets a node's value and makes its missing parents.
	Write(ctx context.Context, path, value string) error
	// Mkdir makes a node with an empty value, and its missing parents, and
	// leaves one alone that exists.
	Mkdir(ctx context.Context, path string) error
	// Rm removes a node and all below it. A node that does not exist is no
	// error as long as its parent does, else ErrNotFound.
	Rm(ctx context.Context, path string) error
	// List returns the names of a node's children, in the store's order.
	List(ctx context.Context, path string) ([]string, error)
	// Perms returns a node's permission list; the first entry is the owner's.
	Perms(ctx context.Context, path string) ([]wire.Perm, error)
	// SetPerms replaces a node's permission list.
	SetPerms(ctx context.Context, path string, perms []wire.Perm) error
	// Exists reports whether a node exists.
	Exists(ctx context.Context, path string) (bool, error)
	// Send carries out b's requests without waiting for one before sending
	// the next.
	Send(ctx context.Context, b *Batch) error
}

// target is where commands send their requests: a client's current session, or
// the session of a transaction.
type target interface {
	// bind returns the session and completes r.
	bind(ctx context.Context, r *request) (*session, error)
}

// commands implements Store on a target.
type commands struct{ target target }

func (c commands) do(ctx context.Context, r *request) ([]byte, error) {
	s, err := c.target.bind(ctx, r)
	if err != nil {
		return nil, r.fail(err)
	}
	return s.roundTrip(ctx, r, nil)
}

// exec is do for an operation whose reply says no more than "OK".
func (c commands) exec(ctx context.Context, r *request) error {
	_, err := c.do(ctx, r)
	return err
}

// Do sends one request whose payload the caller encoded, and returns the
// reply's payload. For operations and spellings that have no method.
func (c commands) Do(ctx context.Context, op wire.Op, payload []byte) ([]byte, error) {
	return c.do(ctx, &request{op: op, body: string(payload), raw: true})
}

// Read returns the value of the node at path; ErrNotFound if there is none.
func (c commands) Read(ctx context.Context, path string) (string, error) {
	b, err := c.do(ctx, &request{op: wire.OpRead, path: path})
	return string(b), err
}

// Write sets the value of the node at path, making it and its missing parents.
// Path and value together have at most 4095 bytes.
func (c commands) Write(ctx context.Context, path, value string) error {
	return c.exec(ctx, &request{op: wire.OpWrite, path: path, body: value})
}

// Mkdir makes sure that a node exists at path, without touching its value.
func (c commands) Mkdir(ctx context.Context, path string) error {
	return c.exec(ctx, &request{op: wire.OpMkdir, path: path})
}

// Rm removes the node at path and all below it. It is no error if there is no
// such node, but ErrNotFound if its parent does not exist either.
func (c commands) Rm(ctx context.Context, path string) error {
	return c.exec(ctx, &request{op: wire.OpRm, path: path})
}

// Exists reports whether there is a node at path. One that the caller may not
// read is ErrPermission.
func (c commands) Exists(ctx context.Context, path string) (bool, error) {
	_, err := c.do(ctx, &request{op: wire.OpRead, path: path})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Perms returns the permission list of the node at path, its owner first.
func (c commands) Perms(ctx context.Context, path string) ([]wire.Perm, error) {
	r := &request{op: wire.OpGetPerms, path: path}
	b, err := c.do(ctx, r)
	if err != nil {
		return nil, err
	}
	perms, err := wire.ParsePerms(b)
	if err != nil {
		return nil, r.fail(err)
	}
	return perms, nil
}

// SetPerms replaces the permission list of the node at path. The caller must own
// it or be privileged.
func (c commands) SetPerms(ctx context.Context, path string, perms []wire.Perm) error {
	return c.exec(ctx, setPerms(path, perms))
}

func setPerms(path string, perms []wire.Perm) *request {
	return &request{op: wire.OpSetPerms, path: path, body: string(wire.AppendPerms(nil, perms))}
}

// List returns the names of the children of the node at path, in the store's
// order. A list too long for one reply is fetched in parts and is consistent:
// when the node changes in between, List starts over.
func (c commands) List(ctx context.Context, path string) ([]string, error) {
	b, err := c.do(ctx, &request{op: wire.OpDirectory, path: path})
	if errors.Is(err, syscall.E2BIG) && len(path) < wire.MaxPayload/2 {
		b, err = c.listParts(ctx, path)
	}
	if err != nil {
		return nil, err
	}
	return wire.Strings(b), nil
}

// maxListRestarts bounds how often a changing directory is read from its start.
const maxListRestarts = 1000

// listParts fetches a list by DIRECTORY_PART. Each reply is a generation, which
// stays the same while the node does, and a part of the list; the last part ends
// with an empty string.
func (c commands) listParts(ctx context.Context, path string) ([]byte, error) {
	var list []byte
	var first string
	for restarts := 0; ; {
		r := &request{op: wire.OpDirectoryPart, path: path, body: strconv.Itoa(len(list)) + "\x00"}
		b, err := c.do(ctx, r)
		if errors.Is(err, syscall.ENOSYS) {
			err = r.fail(fmt.Errorf("the list exceeds one reply and the store cannot send parts: %w", syscall.E2BIG))
		}
		if err != nil {
			return nil, err
		}
		gen, part, ok := wire.CutString(b)
		if !ok {
			return nil, r.fail(ErrProtocol)
		}
		if len(list) > 0 && gen != first {
			if restarts++; restarts > maxListRestarts {
				return nil, r.fail(fmt.Errorf("changed %d times while being read: %w", restarts, syscall.EAGAIN))
			}
			list = list[:0]
			continue
		}
		first = gen
		list = append(list, part...)
		switch {
		case len(list) <= 1: // no children
			return nil, nil
		case bytes.HasSuffix(list, []byte{0, 0}):
			return list[:len(list)-1], nil
		case len(part) == 0 || list[len(list)-1] != 0:
			return nil, r.fail(fmt.Errorf("%w: list part without end", ErrProtocol))
		}
	}
}
