package lab

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ulikunitz/xz"
)

// moduleTree is one kernel's directory under /lib/modules.
type moduleTree struct {
	dir  string
	deps map[string][]string // module name → files, its own first, then what it needs
}

// openModules reads modules.dep of the only kernel installed under root.
func openModules(root string) (*moduleTree, error) {
	dirs, _ := filepath.Glob(filepath.Join(root, "lib/modules/*/modules.dep"))
	if len(dirs) != 1 {
		return nil, fmt.Errorf("kernel modules under %s: found %d kernels, want 1", root, len(dirs))
	}
	f, err := os.Open(dirs[0])
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t := &moduleTree{dir: filepath.Dir(dirs[0]), deps: map[string][]string{}}
	for s := bufio.NewScanner(f); s.Scan(); {
		own, needs, ok := strings.Cut(s.Text(), ":")
		if ok {
			t.deps[moduleName(own)] = append([]string{own}, strings.Fields(needs)...)
		}
	}
	return t, nil
}

// resolve returns the files of the named modules with everything they need, in
// an order in which they can be loaded. Names that the kernel does not have as
// a module are left out: it has them built in, or not at all.
func (t *moduleTree) resolve(names ...string) []string {
	var order []string
	seen := map[string]bool{}
	for _, name := range names {
		files := t.deps[moduleName(name)]
		for i := len(files) - 1; i >= 0; i-- { // modules.dep lists the deepest last
			if !seen[files[i]] {
				seen[files[i]] = true
				order = append(order, files[i])
			}
		}
	}
	return order
}

// read returns a module's content, unpacked.
func (t *moduleTree) read(file string) ([]byte, error) {
	data, err := os.ReadFile(filepath.Join(t.dir, file))
	if err != nil || !strings.HasSuffix(file, ".xz") {
		return data, err
	}
	r, err := xz.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", file, err)
	}
	var out bytes.Buffer
	if _, err := out.ReadFrom(r); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", file, err)
	}
	return out.Bytes(), nil
}

// moduleName is a module's name as the kernel shows it: no folder, no suffix,
// underscores for hyphens.
func moduleName(file string) string {
	name, _, _ := strings.Cut(filepath.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}
