package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Package is a package of the module with tests that need a host.
type Package struct {
	Path string // import path
	Dir  string // relative to the module
}

// binary is the package's test binary on the payload.
func (p Package) binary() string { return strings.ReplaceAll(p.Dir, "/", "_") + ".test" }

// storeLinks are the names by which cmd/xenstore is called.
var storeLinks = []string{
	"xenstore-chmod", "xenstore-control", "xenstore-exists", "xenstore-list", "xenstore-ls",
	"xenstore-read", "xenstore-rm", "xenstore-watch", "xenstore-write",
}

// listed is what "go list" says of a package.
type listed struct {
	ImportPath, Dir, Name     string
	TestGoFiles, XTestGoFiles []string
}

// list asks the go command for the module's packages.
func list(ctx context.Context, module string, patterns ...string) ([]listed, error) {
	cmd := goCommand(ctx, module, append([]string{"list", "-json=ImportPath,Dir,Name,TestGoFiles,XTestGoFiles"}, patterns...)...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w\n%s", err, errs.String())
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("list packages: %w", err)
		}
		all = append(all, p)
	}
}

// labPackages are those with files *_lab_test.go.
func labPackages(module string, all []listed) ([]Package, error) {
	var found []Package
	for _, p := range all {
		if !slices.ContainsFunc(append(p.TestGoFiles, p.XTestGoFiles...), isLabTest) {
			continue
		}
		dir, err := filepath.Rel(module, p.Dir)
		if err != nil {
			return nil, err
		}
		found = append(found, Package{p.ImportPath, filepath.ToSlash(dir)})
	}
	return found, nil
}

func isLabTest(file string) bool { return strings.HasSuffix(file, "_lab_test.go") }

// Programs builds the programs that match the patterns into dir/bin, those of
// examples into dir/examples, beside the example configurations. The daemons' systemd
// units lie beside the programs.
func Programs(ctx context.Context, module, dir string, patterns ...string) error {
	all, err := list(ctx, module, patterns...)
	if err != nil {
		return err
	}
	for _, p := range all {
		if p.Name != "main" || path.Base(p.ImportPath) == "xenlab" {
			continue
		}
		to := filepath.Join(dir, "bin", path.Base(p.ImportPath))
		if strings.Contains(p.ImportPath, "/examples/") {
			to = filepath.Join(dir, "examples", path.Base(p.ImportPath))
		}
		if err := goRun(ctx, module, "build", "-tags=urfave_cli_no_docs", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", to, p.ImportPath); err != nil {
			return err
		}
		if err := copyAll(filepath.Join(p.Dir, "*.service"), filepath.Join(dir, "bin")); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "bin", "xenstore")); err == nil {
		if err := linkStore(filepath.Join(dir, "bin")); err != nil {
			return err
		}
	}
	return copyAll(filepath.Join(module, "examples", "*.cfg"), filepath.Join(dir, "examples"))
}

// copyAll copies the files that match a pattern into a folder.
func copyAll(pattern, dir string) error {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := copyFile(name, filepath.Join(dir, filepath.Base(name))); err != nil {
			return err
		}
	}
	return nil
}

// linkStore gives xenstore the names that it is called by.
func linkStore(bin string) error {
	for _, name := range storeLinks {
		if err := os.Symlink("xenstore", filepath.Join(bin, name)); err != nil && !os.IsExist(err) {
			return err
		}
	}
	return nil
}

// testBinaries builds the packages' tests into dir/tests.
func testBinaries(ctx context.Context, module, dir string, packages []Package) error {
	for _, p := range packages {
		to := filepath.Join(dir, "tests", p.binary())
		if err := goRun(ctx, module, "test", "-c", "-vet=off", "-trimpath", "-ldflags=-s -w", "-o", to, p.Path); err != nil {
			return err
		}
	}
	return nil
}

// sources copies the packages' folders into dir/src: tests run beside their
// testdata, and some read their own sources.
func sources(module, dir string, packages []Package) error {
	for _, p := range packages {
		to := filepath.Join(dir, "src", filepath.FromSlash(p.Dir))
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		from := filepath.Join(module, filepath.FromSlash(p.Dir))
		entries, err := os.ReadDir(from)
		if err != nil {
			return err
		}
		for _, e := range entries {
			name := filepath.Join(from, e.Name())
			switch {
			case e.IsDir() && e.Name() == "testdata":
				err = os.CopyFS(filepath.Join(to, "testdata"), os.DirFS(name))
			case e.Type().IsRegular():
				err = copyFile(name, filepath.Join(to, e.Name()))
			}
			if err != nil && !os.IsExist(err) {
				return err
			}
		}
	}
	return nil
}

// disk makes dir into an image that a lab mounts at /mnt/payload.
func disk(ctx context.Context, dir, image string) error {
	cmd := exec.CommandContext(ctx, "mke2fs", "-q", "-F", "-t", "ext4", "-O", "^has_journal", "-d", dir, image, "2G")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make the disk with the tests: %w\n%s", err, out)
	}
	return nil
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, data, info.Mode().Perm())
}

// goCommand calls the go command on the module, without cgo: a machine with
// nothing but Go has no C compiler, and dom0 may have another C library.
func goCommand(ctx context.Context, module string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

func goRun(ctx context.Context, module string, args ...string) error {
	if out, err := goCommand(ctx, module, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
