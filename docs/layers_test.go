// Package docs_test holds the tree to what docs/architecture.md says of it.
package docs_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// rule is one row of the table in architecture.md.
type rule struct {
	layer int // -1 for test packages
	also  []string
}

// pkg is what `go list -json` tells of a package.
type pkg struct {
	ImportPath string
	Imports    []string
}

var row = regexp.MustCompile("^\\| (\\d|test) \\| `([^`]+)` \\|[^|]*\\|([^|]*)\\|$")
var quoted = regexp.MustCompile("`([^`]+)`")

func readRules(t *testing.T) map[string]rule {
	t.Helper()
	text, err := os.ReadFile("architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]rule{}
	for line := range strings.Lines(string(text)) {
		m := row.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		r := rule{layer: -1}
		if m[1] != "test" {
			r.layer, _ = strconv.Atoi(m[1])
		}
		for _, q := range quoted.FindAllStringSubmatch(m[3], -1) {
			r.also = append(r.also, q[1])
		}
		rules[m[2]] = r
	}
	if len(rules) < 10 {
		t.Fatalf("architecture.md: only %d rows understood", len(rules))
	}
	return rules
}

func listPackages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "goxl/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// governs finds the row for a package: its own, or that of the nearest folder above.
func governs(rules map[string]rule, path string) (string, bool) {
	for name := strings.TrimPrefix(path, "goxl/"); ; {
		if _, ok := rules[name]; ok {
			return name, true
		}
		i := strings.LastIndexByte(name, '/')
		if i < 0 {
			return "", false
		}
		name = name[:i]
	}
}

func under(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func TestImportsPointDown(t *testing.T) {
	rules := readRules(t)
	for _, p := range listPackages(t) {
		if p.ImportPath == "goxl/docs" {
			continue
		}
		from, ok := governs(rules, p.ImportPath)
		if !ok {
			t.Errorf("%s has no row in architecture.md", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if under(imp, "goxl") {
				checkImport(t, rules, p.ImportPath, from, imp)
			}
		}
	}
}

func checkImport(t *testing.T, rules map[string]rule, path, from, imp string) {
	t.Helper()
	to, ok := governs(rules, imp)
	if !ok || to == from {
		return
	}
	src, dst := rules[from], rules[to]
	switch {
	case under(imp, path): // its own sub-package
	case dst.layer == -1:
		if from != "examples" && src.layer != -1 {
			t.Errorf("%s imports %s, which is for tests only", path, imp)
		}
	case dst.layer < src.layer || src.layer == -1 && dst.layer == 0:
	default:
		for _, a := range src.also {
			if a == to {
				return
			}
		}
		t.Errorf("%s (layer %d) imports %s (layer %d): imports point down only", path, src.layer, imp, dst.layer)
	}
}

func TestLibraryLimits(t *testing.T) {
	only := map[string]string{ // import: the one place that may have it
		"github.com/urfave/cli/v2": "goxl/cmd",
	}
	for _, p := range listPackages(t) {
		for _, imp := range p.Imports {
			if home, ok := only[imp]; ok && !under(p.ImportPath, home) {
				t.Errorf("%s imports %s, which belongs in %s", p.ImportPath, imp, home)
			}
		}
	}
}
