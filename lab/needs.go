package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// hostPackages says which Debian package brings a program.
var hostPackages = map[string]string{
	"debootstrap":        "debootstrap",
	"gcc":                "gcc",
	"ld":                 "binutils",
	"mke2fs":             "e2fsprogs",
	"qemu-img":           "qemu-utils",
	"qemu-io":            "qemu-utils",
	"qemu-nbd":           "qemu-utils",
	"qemu-system-x86_64": "qemu-system-x86",
}

// Need makes sure that this machine has the named programs, and installs their
// Debian packages when it does not: that needs root and apt-get.
func Need(ctx context.Context, p Progress, programs ...string) (err error) {
	packages := missing(programs, exec.LookPath)
	if len(packages) == 0 {
		return nil
	}
	names := strings.Join(packages, " ")
	done := step(p, "install "+names, 30*time.Second)
	defer func() { done(err) }()
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return fmt.Errorf("this machine lacks %s: install it, or run as root on a Debian system", names)
	}
	install := append([]string{"-o", "DPkg::Lock::Timeout=300", "install", "-q", "-y", "--no-install-recommends"}, packages...)
	first := command(ctx, "apt-get", install...)
	if first == nil {
		return nil
	}
	// The usual reason on a fresh machine: it never read the package lists.
	if err := command(ctx, "apt-get", "update", "-q"); err != nil {
		return fmt.Errorf("install %s: %w", names, errors.Join(first, err))
	}
	if err := command(ctx, "apt-get", install...); err != nil {
		return fmt.Errorf("install %s: %w", names, err)
	}
	return nil
}

// missing returns the packages of those programs that look does not find.
func missing(programs []string, look func(string) (string, error)) []string {
	var packages []string
	for _, name := range programs {
		if _, err := look(name); err == nil {
			continue
		}
		if p := hostPackages[name]; p != "" && !slices.Contains(packages, p) {
			packages = append(packages, p)
		}
	}
	return packages
}
