package wire

import (
	"errors"
	"fmt"
	"strings"
)

// ErrPath means that a path cannot exist in any store.
var ErrPath = errors.New("bad path")

// CheckPath applies the rules of the protocol: letters, digits and -/_@, no
// doubled or trailing slash except "/", at most MaxAbsPath bytes, MaxRelPath
// when relative. A special watch such as @releaseDomain passes as well.
func CheckPath(path string) error {
	limit := MaxRelPath
	if strings.HasPrefix(path, "/") {
		limit = MaxAbsPath
	}
	switch {
	case path == "":
		return fmt.Errorf("%w: empty", ErrPath)
	case len(path) > limit:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrPath, len(path), limit)
	case path != "/" && path[len(path)-1] == '/':
		return fmt.Errorf("%w %q: slash at the end", ErrPath, path)
	case strings.Contains(path, "//"):
		return fmt.Errorf("%w %q: doubled slash", ErrPath, path)
	}
	for i := range len(path) {
		if !pathByte(path[i]) {
			return fmt.Errorf("%w %q: byte %#02x", ErrPath, path, path[i])
		}
	}
	return nil
}

// IsChild reports whether path is parent or lies below it: how watches match.
func IsChild(parent, path string) bool {
	if parent == "/" {
		return strings.HasPrefix(path, "/")
	}
	return strings.HasPrefix(path, parent) &&
		(len(path) == len(parent) || path[len(parent)] == '/')
}

func pathByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		c == '-' || c == '/' || c == '_' || c == '@'
}
