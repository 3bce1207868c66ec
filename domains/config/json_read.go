package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// jsonKind is the kind of a JSON value as libxl tells them apart.
type jsonKind int

const (
	jsonNull jsonKind = iota
	jsonBool
	jsonInt    // fits in 64 bits with a sign
	jsonNumber // any other number
	jsonString
	jsonArray
	jsonObject
)

// jsonNode is a parsed JSON value.
type jsonNode struct {
	kind  jsonKind
	bool  bool
	int   int64
	text  string // of a string or a number
	items []*jsonNode
	keys  []string // of an object, beside items
	pos   int
}

// get returns the member with the given name, the first if there are several, or
// nil.
func (n *jsonNode) get(name string) *jsonNode {
	if n.kind != jsonObject {
		return nil
	}
	for i, k := range n.keys {
		if k == name {
			return n.items[i]
		}
	}
	return nil
}

// Limits for hostile input. A genuine configuration is some ten KiB.
const (
	maxJSON      = 16 << 20
	maxJSONDepth = 64
)

// jsonReader parses JSON. Unlike encoding/json it keeps bytes that are not UTF-8
// and the order and number of members, as libxl's parsers do.
type jsonReader struct {
	src   string
	pos   int
	depth int
}

// readJSON parses all of src.
func readJSON(src []byte) (*jsonNode, error) {
	if len(src) > maxJSON {
		return nil, jsonError(nil, 0, "it has %d bytes, more than the %d that are taken", len(src), maxJSON)
	}
	r := &jsonReader{src: string(src)}
	n, err := r.value()
	if err != nil {
		return nil, err
	}
	r.blanks()
	// Files that libxl wrote may end in NUL bytes.
	if strings.Trim(r.src[r.pos:], "\x00") != "" {
		return nil, r.fail("something follows the end")
	}
	return n, nil
}

// jsonError is an error at byte pos of src.
func jsonError(src []byte, pos int, format string, args ...any) *Error {
	before := string(src[:min(pos, len(src))])
	return &Error{Exit: 1, Problems: []Problem{{
		Line: strings.Count(before, "\n") + 1, Column: len(before) - strings.LastIndexByte(before, '\n'),
		File: "JSON", Code: CodeJSON, Msg: fmt.Sprintf(format, args...),
	}}}
}

func (r *jsonReader) fail(format string, args ...any) error {
	return jsonError([]byte(r.src), r.pos, format, args...)
}

// blanks skips white space and comments.
func (r *jsonReader) blanks() {
	for r.pos < len(r.src) {
		rest := r.src[r.pos:]
		switch {
		case strings.IndexByte(" \t\r\n\v\f", rest[0]) >= 0:
			r.pos++
		case strings.HasPrefix(rest, "//"):
			if r.pos += strings.IndexByte(rest+"\n", '\n'); r.pos > len(r.src) {
				r.pos = len(r.src)
			}
		case strings.HasPrefix(rest, "/*") && strings.Contains(rest[2:], "*/"):
			r.pos += 2 + strings.Index(rest[2:], "*/") + 2
		default:
			return
		}
	}
}

func (r *jsonReader) value() (*jsonNode, error) {
	r.blanks()
	n := &jsonNode{pos: r.pos}
	if r.pos >= len(r.src) {
		return nil, r.fail("it ends too early")
	}
	switch c := r.src[r.pos]; {
	case c == '{' || c == '[':
		return n, r.group(n, c)
	case c == '"':
		n.kind = jsonString
		var err error
		n.text, err = r.string()
		return n, err
	case c == '-' || '0' <= c && c <= '9':
		return n, r.number(n)
	}
	for _, w := range []struct {
		text string
		kind jsonKind
	}{{"null", jsonNull}, {"true", jsonBool}, {"false", jsonBool}} {
		if strings.HasPrefix(r.src[r.pos:], w.text) {
			n.kind, n.bool = w.kind, w.text == "true"
			r.pos += len(w.text)
			return n, nil
		}
	}
	return nil, r.fail("unexpected %q", r.src[r.pos])
}

// group reads an array or an object.
func (r *jsonReader) group(n *jsonNode, bracket byte) error {
	if r.depth++; r.depth > maxJSONDepth {
		return r.fail("it is nested too deeply")
	}
	defer func() { r.depth-- }()
	end := byte(']')
	if n.kind = jsonArray; bracket == '{' {
		n.kind, end = jsonObject, '}'
	}
	r.pos++
	for first := true; ; first = false {
		r.blanks()
		if r.pos >= len(r.src) {
			return r.fail("it ends too early")
		}
		if r.src[r.pos] == end {
			r.pos++
			return nil
		}
		if !first {
			if r.src[r.pos] != ',' {
				return r.fail("want a comma or %q", end)
			}
			r.pos++
		}
		if n.kind == jsonObject {
			if err := r.key(n); err != nil {
				return err
			}
		}
		item, err := r.value()
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
}

func (r *jsonReader) key(n *jsonNode) error {
	r.blanks()
	if r.pos >= len(r.src) || r.src[r.pos] != '"' {
		return r.fail("want a name in quotes")
	}
	key, err := r.string()
	if err != nil {
		return err
	}
	n.keys = append(n.keys, key)
	if r.blanks(); r.pos >= len(r.src) || r.src[r.pos] != ':' {
		return r.fail("want a colon")
	}
	r.pos++
	return nil
}

func (r *jsonReader) number(n *jsonNode) error {
	end := r.pos + 1
	for end < len(r.src) && strings.IndexByte("0123456789+-.eE", r.src[end]) >= 0 {
		end++
	}
	n.text = r.src[r.pos:end]
	n.kind = jsonNumber
	if v, err := strconv.ParseInt(n.text, 10, 64); err == nil {
		n.kind, n.int = jsonInt, v
	} else if _, err := strconv.ParseFloat(n.text, 64); err != nil && !isRange(err) {
		return r.fail("%q is no number", n.text)
	}
	r.pos = end
	return nil
}

func isRange(err error) bool {
	e, ok := err.(*strconv.NumError)
	return ok && e.Err == strconv.ErrRange
}

// string reads a string in quotes.
func (r *jsonReader) string() (string, error) {
	var b strings.Builder
	for i := r.pos + 1; i < len(r.src); i++ {
		switch c := r.src[i]; c {
		case '"':
			r.pos = i + 1
			return b.String(), nil
		case '\\':
			n, err := unescape(&b, r.src[i+1:])
			if err != nil {
				r.pos = i
				return "", r.fail("%v", err)
			}
			i += n
		case '\n', 0:
			r.pos = i
			return "", r.fail("a string does not end")
		default:
			b.WriteByte(c)
		}
	}
	return "", r.fail("a string does not end")
}

// unescape reads what follows a backslash and returns how long it is.
func unescape(b *strings.Builder, s string) (int, error) {
	const plain = "\"\"\\\\//b\bf\fn\nr\rt\t"
	if s == "" {
		return 0, fmt.Errorf("a string does not end")
	}
	for i := 0; i < len(plain); i += 2 {
		if plain[i] == s[0] {
			b.WriteByte(plain[i+1])
			return 1, nil
		}
	}
	u, ok := hex4(s)
	if !ok {
		return 0, fmt.Errorf("an escape is not known: \\%c", s[0])
	}
	n := 5
	if 0xd800 <= u && u < 0xdc00 && len(s) > 6 && s[5] == '\\' {
		if low, ok := hex4(s[6:]); ok && 0xdc00 <= low && low < 0xe000 {
			u, n = (u-0xd800)<<10+(low-0xdc00)+0x10000, 11
		}
	}
	if u == 0 {
		return 0, fmt.Errorf("a string holds a zero byte")
	}
	b.Write(utf8.AppendRune(nil, u))
	return n, nil
}

// hex4 reads "uXXXX".
func hex4(s string) (rune, bool) {
	if len(s) < 5 || s[0] != 'u' {
		return 0, false
	}
	v, err := strconv.ParseUint(s[1:5], 16, 32)
	return rune(v), err == nil
}
