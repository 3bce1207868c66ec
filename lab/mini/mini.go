package mini

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"goxl/lab"
)

//go:embed kernel
var kernel embed.FS

// Path is where a lab has the kernel in dom0. Tests find it by GOXL_MINI.
const Path = "/opt/goxl/mini/mini"

// Env names the environment variable with the kernel's path in dom0.
const Env = "GOXL_MINI"

// flags make a kernel that stands alone: no C library, no registers but the
// general ones, nothing below the stack pointer, which Xen overwrites.
var flags = strings.Fields("-std=gnu11 -O2 -m64 -Wall -Wextra -ffreestanding -fno-pic -fno-stack-protector" +
	" -fno-asynchronous-unwind-tables -fcf-protection=none -mno-red-zone -mgeneral-regs-only" +
	" -nostdlib -static -no-pie -Wl,-T,mini.ld -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack")

// Build returns the path of the kernel in the cache. It compiles it first when
// there is none of these sources; that takes a second, and gcc, which is installed
// when it is missing.
func Build(ctx context.Context, cache *lab.Cache, p lab.Progress) (_ string, err error) {
	sum, err := hash()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache.Dir(), "mini")
	file := filepath.Join(dir, "mini-"+sum)
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if err := lab.Need(ctx, p, "gcc", "ld"); err != nil {
		return "", fmt.Errorf("build the mini guest: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("build the mini guest: %w", err)
	}
	work, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", fmt.Errorf("build the mini guest: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	if err := compile(ctx, work); err != nil {
		return "", fmt.Errorf("build the mini guest: %w", err)
	}
	return file, os.Rename(filepath.Join(work, "mini"), file) // whole, whoever else builds it
}

// compile makes dir/mini.
func compile(ctx context.Context, dir string) error {
	src, err := fs.Sub(kernel, "kernel")
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, src); err != nil {
		return err
	}
	code, err := filepath.Glob(filepath.Join(dir, "*.[cS]"))
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "gcc", append(append([]string{"-o", "mini"}, flags...), code...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("gcc: %w\n%s", err, out)
	}
	return nil
}

// hash names the sources and how they are compiled: twelve hexadecimal digits.
func hash() (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, flags)
	err := fs.WalkDir(kernel, "kernel", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := kernel.ReadFile(name)
		fmt.Fprintf(h, "%s %d\n%s", name, len(data), data)
		return err
	})
	return hex.EncodeToString(h.Sum(nil))[:12], err
}

// Install builds the kernel and puts it where tests in a host's dom0 look for it.
func Install(ctx context.Context, cache *lab.Cache, h *lab.Host, p lab.Progress) error {
	file, err := Build(ctx, cache, p)
	if err != nil {
		return err
	}
	return h.Put(ctx, file, Path)
}
