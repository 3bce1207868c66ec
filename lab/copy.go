package lab

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// Put copies a local file or folder to dom0, with its permissions. A remote
// path that ends with a slash is a folder to put it in, created when missing.
func (h *Host) Put(ctx context.Context, local, remote string) error {
	info, err := os.Stat(local)
	if err != nil {
		return err
	}
	if strings.HasSuffix(remote, "/") {
		remote += filepath.Base(local)
	}
	if info.IsDir() {
		return h.putTree(ctx, local, remote)
	}
	f, err := os.Open(local)
	if err != nil {
		return err
	}
	defer f.Close()
	// Written beside and renamed: a program that runs there can be replaced.
	q := quote(remote)
	command := fmt.Sprintf("mkdir -p %s && gzip -dc > %s.part && chmod %o %s.part && mv -f %s.part %s",
		quote(path.Dir(remote)), q, info.Mode().Perm(), q, q, q)
	return h.send(ctx, local, command, func(w io.Writer) error {
		_, err := io.Copy(w, f)
		return err
	})
}

func (h *Host) putTree(ctx context.Context, local, remote string) error {
	command := fmt.Sprintf("mkdir -p %s && tar -xz -C %s", quote(remote), quote(remote))
	return h.send(ctx, local, command, func(w io.Writer) error {
		t := tar.NewWriter(w)
		return errors.Join(t.AddFS(os.DirFS(local)), t.Close())
	})
}

// send runs a command with what write writes, packed with gzip: on an emulated
// processor unpacking costs a fraction of ssh's decryption.
func (h *Host) send(ctx context.Context, what, command string, write func(io.Writer) error) error {
	r, w := io.Pipe()
	go func() {
		// The compressor writes a few hundred bytes at a time, and each write
		// would become an ssh packet.
		b := bufio.NewWriterSize(w, 32<<10)
		z, err := gzip.NewWriterLevel(b, gzip.BestSpeed)
		if err == nil {
			err = errors.Join(write(z), z.Close(), b.Flush())
		}
		w.CloseWithError(err)
	}()
	defer r.Close()
	var errs strings.Builder
	if err := h.Run(ctx, command, Streams{Stdin: r, Stderr: &errs}); err != nil {
		return fmt.Errorf("copy %s to host %d: %w: %s", what, h.Number, err, tail(strings.TrimSpace(errs.String()), 3))
	}
	return nil
}

// Get copies a file of dom0 to a local file. Folders go through tar by hand.
func (h *Host) Get(ctx context.Context, remote, local string) (err error) {
	if info, err := os.Stat(local); err == nil && info.IsDir() {
		local = filepath.Join(local, path.Base(remote))
	}
	part := local + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part))
		}
	}()
	if err := errors.Join(h.Run(ctx, "cat "+quote(remote), Streams{Stdout: f, Stderr: io.Discard}), f.Close()); err != nil {
		return fmt.Errorf("copy %s from host %d: %w", remote, h.Number, err)
	}
	var mode fs.FileMode = 0o644
	if out, err := h.Output(ctx, "stat -c %a "+quote(remote)); err == nil {
		fmt.Sscanf(out, "%o", &mode)
	}
	if err := os.Chmod(part, mode); err != nil {
		return err
	}
	return os.Rename(part, local)
}

// quote makes s one word for the shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
