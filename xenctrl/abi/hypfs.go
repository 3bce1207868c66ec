package abi

// Types of hypfs nodes. Source: hypfs.h, XEN_HYPFS_TYPE_*.
const (
	HypfsDir    = 0
	HypfsBlob   = 1
	HypfsString = 2
	HypfsUint   = 3
	HypfsInt    = 4
	HypfsBool   = 5

	HypfsPlain = 0 // encodings
	HypfsGzip  = 1
)

// HypfsEntry describes a node of Xen's own file system.
type HypfsEntry struct {
	Name     string // in a directory listing
	Type     uint8
	Encoding uint8
	Size     uint32
	MaxWrite uint32 // 0: read only
}

// HypfsHeaderSize is sizeof(struct xen_hypfs_direntry).
const HypfsHeaderSize = 12

// ParseHypfsEntry reads the header that precedes a node's content.
func ParseHypfsEntry(b []byte) (HypfsEntry, bool) {
	if len(b) < HypfsHeaderSize {
		return HypfsEntry{}, false
	}
	return HypfsEntry{Type: b[0], Encoding: b[1], Size: get32(b, 4), MaxWrite: get32(b, 8)}, true
}

// ParseHypfsDir reads a directory's content: records linked by their offset to
// the next, a name with its NUL behind each. It stops at what does not fit.
func ParseHypfsDir(b []byte) []HypfsEntry {
	var out []HypfsEntry
	for len(b) > HypfsHeaderSize+2 {
		e, _ := ParseHypfsEntry(b)
		next := int(get16(b, HypfsHeaderSize))
		name := b[HypfsHeaderSize+2:]
		if next > HypfsHeaderSize+2 && next <= len(b) {
			name = b[HypfsHeaderSize+2 : next]
		}
		e.Name = cstring(name)
		out = append(out, e)
		if next <= HypfsHeaderSize+2 || next > len(b) {
			break
		}
		b = b[next:]
	}
	return out
}
