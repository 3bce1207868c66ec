package lab

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// diskSize is what dom0 believes to have; the file is sparse.
const diskSize = "12G"

// build makes r's image in dir, which must not exist yet.
func build(ctx context.Context, r Release, dir string, p Progress) error {
	if err := Need(ctx, p, "debootstrap", "mke2fs"); err != nil {
		return err
	}
	root := filepath.Join(dir, "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for _, s := range []struct {
		what   string
		expect time.Duration
		do     func() error
	}{
		{"fetch a minimal Debian " + r.Suite, 45 * time.Second, func() error {
			return command(ctx, "debootstrap", "--variant=minbase", r.Suite, root, mirror())
		}},
		{"install Xen " + r.Xen + ", a kernel and tools", time.Minute, func() error { return install(ctx, r, root) }},
		{"set up dom0", 0, func() error { return customise(dir, root) }},
		{"write the disk image", 10 * time.Second, func() error {
			return command(ctx, "mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1",
				"-L", "dom0", "-d", root, filepath.Join(dir, "root.img"), diskSize)
		}},
		{"clean up", 0, func() error { return os.RemoveAll(root) }},
	} {
		done := step(p, fmt.Sprintf("image %s: %s", r.Xen, s.what), s.expect)
		err := s.do()
		done(err)
		if err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	return nil
}

// install puts r's packages into root. Nothing of them is started, and no
// initramfs is built: the lab makes its own, which is much smaller.
func install(ctx context.Context, r Release, root string) error {
	for name, text := range map[string]string{
		"usr/sbin/policy-rc.d":           "#!/bin/sh\nexit 101\n",
		"etc/dpkg/dpkg.cfg.d/lab":        "force-unsafe-io\npath-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\npath-exclude /usr/share/locale/*\n",
		"etc/apt/apt.conf.d/90lab":       "Acquire::Languages \"none\";\nAPT::Install-Recommends \"false\";\nAcquire::Retries \"3\";\n",
		"etc/initramfs-tools/conf.d/lab": "MODULES=list\n",
		"etc/kernel-img.conf":            "do_symlinks = no\n",
	} {
		if err := writeFile(filepath.Join(root, name), []byte(text), 0o755); err != nil {
			return err
		}
	}
	if data, err := os.ReadFile("/etc/resolv.conf"); err == nil {
		if err := writeFile(filepath.Join(root, "etc/resolv.conf"), data, 0o644); err != nil {
			return err
		}
	}
	script := "mount -t proc proc /proc && apt-get update -q && " +
		"apt-get install -q -y " + strings.Join(r.packages(), " ") + " && apt-get clean"
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", script)
	cmd.Env = []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "INITRD=No",
		"http_proxy=" + os.Getenv("http_proxy"), "https_proxy=" + os.Getenv("https_proxy"),
	}
	// A mount namespace of its own takes /proc away again, however this ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	cmd.Dir = "/"
	return runQuiet(cmd)
}

// command runs a program of this machine and says what it printed when it fails.
func command(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return runQuiet(cmd)
}

func runQuiet(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, tail(string(out), 15))
	}
	return nil
}

// tail returns the last n lines of s.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

func writeFile(name string, data []byte, perm os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, perm)
}

// copyOne copies the only file that matches pattern, unpacking .gz.
func copyOne(pattern, to string) (err error) {
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) != 1 {
		return errors.Join(err, fmt.Errorf("%s: %d files, want 1", pattern, len(names)))
	}
	data, err := os.ReadFile(names[0])
	if err != nil {
		return err
	}
	if strings.HasSuffix(names[0], ".gz") {
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return fmt.Errorf("unpack %s: %w", names[0], err)
		}
		if data, err = io.ReadAll(r); err != nil {
			return fmt.Errorf("unpack %s: %w", names[0], err)
		}
	}
	return writeFile(to, data, 0o644)
}
