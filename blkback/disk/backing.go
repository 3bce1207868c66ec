package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Backing says which backing files may be followed. The name of a backing file stands
// in the image, and an image is as hostile as the guest that wrote it: followed
// blindly, it would show the guest any file of the host. So the zero value allows
// none, and an operator has to name the files or the directories of his templates.
//
// A relative name is looked up from the directory of the image that names it. Names
// with a protocol (nbd:, json:, …) are never followed. Backing files are opened for
// reading only, and locked against writers.
type Backing struct {
	// Files may be followed, by these absolute paths.
	Files []string
	// Dirs are directories: files in and below them may be followed, but no symbolic
	// link that leads out.
	Dirs []string
	// Guess lets the content of a backing file decide its format where the image
	// does not say it. It is for old images whose backing files no guest ever wrote.
	Guess bool
}

// ErrBacking is a backing file that may not be followed.
var ErrBacking = errors.New("backing file not allowed")

// maxDepth is how many backing files may follow one another.
const maxDepth = 32

// backingPath is the host's path for the backing file name of the image at path.
func backingPath(path, name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("%w: its name is empty", ErrBacking)
	}
	if i := strings.IndexAny(name, ":/"); i >= 0 && name[i] == ':' {
		return "", fmt.Errorf("%w: %q is not a plain path", ErrBacking, name)
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(path), name)
	}
	return filepath.Abs(name)
}

// open opens the backing file at path as a file of the host.
func (b Backing) open(path string, o Options) (*file, error) {
	o.ReadOnly, o.stable = true, true
	if slices.ContainsFunc(b.Files, func(f string) bool { return filepath.Clean(f) == path }) {
		return openFile(path, o)
	}
	for _, dir := range b.Dirs {
		rel, err := filepath.Rel(dir, path)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		root, err := os.OpenRoot(dir)
		if err != nil {
			return nil, fmt.Errorf("directory of backing files: %w", err)
		}
		defer root.Close()
		return openWith(path, o, func(flags int) (*os.File, error) { return root.OpenFile(rel, flags, 0) })
	}
	return nil, fmt.Errorf("%w: %s is neither one of the files %q nor in one of the directories %q: "+
		"put it there, or name it", ErrBacking, path, b.Files, b.Dirs)
}

// format is the format of a backing file, as the image says it or as its content
// looks, if that is allowed.
func (b Backing) format(said string, f *file) (Format, error) {
	if said != "" {
		return ParseFormat(said)
	}
	if !b.Guess {
		return "", fmt.Errorf("%w: the image does not say its format: say it with qemu-img rebase -u -F FORMAT", ErrBacking)
	}
	var magic [4]byte
	if _, err := f.ReadAt(magic[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	if string(magic[:]) == "QFI\xfb" {
		return QCOW2, nil
	}
	return Raw, nil
}
