// Command golden writes the golden bytes that abi's tests compare with: it
// compiles a C program against Xen's public headers and keeps what it prints.
//
//	go run ./xenctrl/abi/golden -headers xen/xen/include/public \
//		-release 4.17 -tag "stable-4.17 0123456789ab" -o xenctrl/abi/testdata/4.17.golden
//
// The headers are a folder of Xen's source (xen/include/public) or of Debian's
// libxen-dev (usr/include/xen). Only the bytes are kept, never a header. With
// -check the file is compared instead of written: exit status 1 and the first
// difference when the bytes differ, whatever the tag and hash say. Another package
// with layouts of its own brings its own program with -program, as
// netback/netif/testdata/dump.c.
package main

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed template
var template embed.FS

func main() {
	headers := flag.String("headers", "", "`folder` of Xen's public headers")
	release := flag.String("release", "", "release of the headers, as 4.17")
	tag := flag.String("tag", "", "where the headers are from: branch and commit, or package version")
	out := flag.String("o", "", "`file` to write")
	program := flag.String("program", "", "C `file` to compile instead of abi's own")
	check := flag.Bool("check", false, "compare the file instead of writing it")
	flag.Parse()
	if *headers == "" || *release == "" || *tag == "" || *out == "" {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*headers, *release, *tag, *out, *program, *check); err != nil {
		fmt.Fprintln(os.Stderr, "golden:", err)
		os.Exit(1)
	}
}

func run(headers, release, tag, out, program string, check bool) error {
	_, minor, _ := strings.Cut(release, ".")
	if _, err := strconv.Atoi(minor); err != nil {
		return fmt.Errorf("release %q is not of the form 4.17", release)
	}
	body, err := dump(headers, minor, program)
	if err != nil {
		return fmt.Errorf("Xen %s: %w", release, err)
	}
	if check {
		return compare(out, body)
	}
	sum, err := hash(headers)
	if err != nil {
		return err
	}
	head := fmt.Sprintf("# Xen %s, amd64: structures as gcc lays out the public headers of %s\n# sha256 of the headers: %x\n", release, tag, sum)
	return os.WriteFile(out, append([]byte(head), body...), 0o644)
}

// dump compiles the program ("" is abi's own) against the headers and returns what
// it prints.
func dump(headers, minor, program string) ([]byte, error) {
	abs, err := filepath.Abs(headers)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "golden")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, template); err != nil {
		return nil, err
	}
	// Behind a name of its own, so that Xen's features.h does not hide libc's.
	if err := os.Symlink(abs, filepath.Join(dir, "xen-public")); err != nil {
		return nil, err
	}
	bin := filepath.Join(dir, "dump")
	if program == "" {
		program = filepath.Join(dir, "template", "dump.c")
	}
	cc := exec.Command("gcc", "-std=gnu11", "-w", "-DXEN_MINOR="+minor, "-I", dir, "-o", bin, program)
	if text, err := cc.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("compile: %w\n%s", err, text)
	}
	body, err := exec.Command(bin).Output()
	if err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	return body, nil
}

// hash is over the names and contents of all headers, in the order of names.
func hash(headers string) ([]byte, error) {
	sum := sha256.New()
	err := filepath.WalkDir(headers, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != ".h" {
			return err
		}
		rel, err := filepath.Rel(headers, path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(sum, "%s %d\n", filepath.ToSlash(rel), len(b))
		sum.Write(b)
		return nil
	})
	return sum.Sum(nil), err
}

// compare reports the first line that differs.
func compare(file string, body []byte) error {
	have, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for bytes.HasPrefix(have, []byte("#")) {
		_, have, _ = bytes.Cut(have, []byte("\n"))
	}
	if bytes.Equal(have, body) {
		return nil
	}
	a, b := strings.Split(string(have), "\n"), strings.Split(string(body), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return fmt.Errorf("%s has\n\t%s\nthe headers give\n\t%s", file, a[i], b[i])
		}
	}
	return errors.New(file + " has more or fewer lines than the headers give")
}
