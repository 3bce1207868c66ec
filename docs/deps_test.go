package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every start of a program initialises all packages that are linked into it, used or
// not. speed.md says what these cost, and what is used in their place.
var notLinked = map[string][]string{
	"goxl/cmd/xl": {"net/http", "text/template", "html/template", "encoding/xml", "encoding/gob", "expvar", "log/slog", "os/user", "log/syslog",
		"debug/elf", "testing", "go.uber.org/zap", "github.com/urfave/cli/v2", "goxl/xenctrl/xentest", "goxl/xenstore/server"},
	"goxl/cmd/xenstore": {"crypto/tls", "crypto/rand", "encoding/json", "net/http", "regexp", "text/template", "testing",
		"go.uber.org/zap", "go.uber.org/zap/zapcore", "github.com/urfave/cli/v2", "goxl/xenctrl", "goxl/xenstore/server"},
}

func TestNotLinked(t *testing.T) {
	for program, packages := range notLinked {
		out, err := exec.Command("go", "list", "-deps", program).Output()
		if err != nil {
			t.Fatalf("go list: %v", err)
		}
		linked := map[string]bool{}
		for _, p := range strings.Fields(string(out)) {
			linked[p] = true
		}
		if !linked[program] || !linked["goxl/cmd/internal/calm"] {
			t.Errorf("%s: the list lacks itself or calm", program)
		}
		for _, p := range packages {
			if linked[p] {
				t.Errorf("%s links %s: every start pays for that; go list -deps shows by which import", program, p)
			}
		}
	}
}

// What takes work to make is made when it is used, not for every command.
func TestNothingIsMadeOnStarting(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}} {{.Dir}}{{end}}", "goxl/cmd/xl").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	looked := 0
	for line := range strings.Lines(string(out)) {
		path, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !under(path, "goxl") {
			continue
		}
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if !strings.HasSuffix(name, "_test.go") {
				looked++
				lookAtVariables(t, name)
			}
		}
	}
	if looked < 100 {
		t.Errorf("only %d files were looked at", looked)
	}
}

// lookAtVariables finds package variables that an expression or a text is made for.
func lookAtVariables(t *testing.T, name string) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range file.Decls {
		vars, ok := d.(*ast.GenDecl)
		if !ok || vars.Tok != token.VAR {
			continue
		}
		ast.Inspect(vars, func(n ast.Node) bool {
			if _, later := n.(*ast.FuncLit); later {
				return false
			}
			if call, ok := n.(*ast.CallExpr); ok {
				if f, ok := call.Fun.(*ast.SelectorExpr); ok && made[written(f)] {
					t.Errorf("%s: %s is called on every start", set.Position(call.Pos()), written(f))
				}
			}
			return true
		})
	}
}

var made = map[string]bool{"regexp.MustCompile": true, "fmt.Errorf": true, "fmt.Sprintf": true}

// written is a selector as it is written: regexp.MustCompile.
func written(f *ast.SelectorExpr) string {
	if pkg, ok := f.X.(*ast.Ident); ok {
		return pkg.Name + "." + f.Sel.Name
	}
	return ""
}
