package config

import (
	"strconv"
)

// jsonWriter writes JSON in the layout of one of the two generators that libxl
// has used: yajl up to 4.20, json-c since 4.21.
type jsonWriter struct {
	b     []byte
	jsonC bool
	base  int // levels of indentation around all of it
	depth int
	empty bool // nothing follows the last opening bracket yet
}

// newJSONWriter returns a writer for the release's layout that appends to b.
func newJSONWriter(b []byte, rel Release) *jsonWriter {
	return &jsonWriter{b: b, jsonC: !rel.Before(4, 21)}
}

func (w *jsonWriter) open(bracket byte) {
	w.b = append(w.b, bracket)
	if !w.jsonC {
		w.b = append(w.b, '\n')
	}
	w.depth++
	w.empty = true
}

func (w *jsonWriter) close(bracket byte) {
	w.depth--
	if !w.jsonC || !w.empty {
		w.b = append(w.b, '\n')
		w.indent()
	}
	w.b = append(w.b, bracket)
	w.empty = false
}

func (w *jsonWriter) indent() {
	const yajl, jsonC = "    ", "  "
	step := yajl
	if w.jsonC {
		step = jsonC
	}
	for range w.base + w.depth {
		w.b = append(w.b, step...)
	}
}

// item begins an element of an array.
func (w *jsonWriter) item() {
	if !w.empty {
		w.b = append(w.b, ',')
	}
	if w.jsonC || !w.empty {
		w.b = append(w.b, '\n')
	}
	w.empty = false
	w.indent()
}

// key begins a member of an object.
func (w *jsonWriter) key(name string) {
	w.item()
	w.text(name)
	w.b = append(w.b, ':')
	if !w.jsonC {
		w.b = append(w.b, ' ')
	}
}

func (w *jsonWriter) null()         { w.b = append(w.b, "null"...) }
func (w *jsonWriter) bool(v bool)   { w.b = strconv.AppendBool(w.b, v) }
func (w *jsonWriter) int(v int64)   { w.b = strconv.AppendInt(w.b, v, 10) }
func (w *jsonWriter) uint(v uint64) { w.b = strconv.AppendUint(w.b, v, 10) }

// uint32 writes what json-c got as an int: large numbers come out negative.
func (w *jsonWriter) uint32(v uint32) {
	if w.jsonC {
		w.int(int64(int32(v)))
		return
	}
	w.uint(uint64(v))
}

// text writes a string. Bytes beyond ASCII are passed on as they are.
func (w *jsonWriter) text(s string) {
	digits := "0123456789ABCDEF"
	if w.jsonC {
		digits = "0123456789abcdef"
	}
	w.b = append(w.b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\' || c == '/' && w.jsonC:
			w.b = append(w.b, '\\', c)
		case c == '\b':
			w.b = append(w.b, `\b`...)
		case c == '\f':
			w.b = append(w.b, `\f`...)
		case c == '\n':
			w.b = append(w.b, `\n`...)
		case c == '\r':
			w.b = append(w.b, `\r`...)
		case c == '\t':
			w.b = append(w.b, `\t`...)
		case c < 0x20:
			w.b = append(w.b, `\u00`...)
			w.b = append(w.b, digits[c>>4], digits[c&15])
		default:
			w.b = append(w.b, c)
		}
	}
	w.b = append(w.b, '"')
}
