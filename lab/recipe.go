package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// recipeFormat changes when the build does something else with the same input.
const recipeFormat = 1

// defaultMirror serves all of Debian's releases that a lab uses.
const defaultMirror = "http://deb.debian.org/debian"

// recipe is everything that decides what an image contains, apart from the day
// on which Debian's mirror was asked. Where from does not count.
type recipe struct {
	release  Release
	packages []string
	modules  []string
	files    map[string]string
}

func recipeOf(r Release) recipe {
	rc := recipe{release: r, packages: r.packages(), files: map[string]string{}}
	rc.modules = append(slices.Clone(dom0Modules), guestModules...)
	list, err := files.ReadDir("files")
	if err != nil {
		panic(err) // embedded at build time
	}
	for _, entry := range list {
		data, err := fs.ReadFile(files, "files/"+entry.Name())
		if err != nil {
			panic(err)
		}
		rc.files[entry.Name()] = string(data)
	}
	return rc
}

// hash names the recipe: twelve hexadecimal digits.
func (rc recipe) hash() string {
	h := sha256.New()
	rc.write(h)
	return hex.EncodeToString(h.Sum(nil))[:12]
}

func (rc recipe) write(w io.Writer) {
	fmt.Fprintf(w, "format %d\nxen %s\nsuite %s\n", recipeFormat, rc.release.Xen, rc.release.Suite)
	fmt.Fprintf(w, "packages %s\nmodules %s\n", strings.Join(rc.packages, " "), strings.Join(rc.modules, " "))
	names := make([]string, 0, len(rc.files))
	for name := range rc.files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(w, "file %s %d\n%s\n", name, len(rc.files[name]), rc.files[name])
	}
}

// mirror is where Debian's packages come from: GOXL_MIRROR or the default.
func mirror() string {
	if m := os.Getenv("GOXL_MIRROR"); m != "" {
		return m
	}
	return defaultMirror
}
