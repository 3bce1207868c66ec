package wire

import "bytes"

// AppendStrings appends each string and a NUL. A string with a NUL inside would
// read as two, so the caller refuses it first.
func AppendStrings(b []byte, ss ...string) []byte {
	for _, s := range ss {
		b = append(b, s...)
		b = append(b, 0)
	}
	return b
}

// Strings splits a list of NUL-terminated strings. A last one that lacks its
// NUL counts too: some replies of oxenstored come without.
func Strings(b []byte) []string {
	n := bytes.Count(b, []byte{0})
	if len(b) > 0 && b[len(b)-1] != 0 {
		n++
	}
	ss := make([]string, 0, n)
	for len(b) > 0 {
		i := bytes.IndexByte(b, 0)
		if i < 0 {
			return append(ss, string(b))
		}
		ss = append(ss, string(b[:i]))
		b = b[i+1:]
	}
	return ss
}

// CutString takes one NUL-terminated string off b. It reports false when there
// is no NUL.
func CutString(b []byte) (s string, rest []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return "", b, false
	}
	return string(b[:i]), b[i+1:], true
}

// TrimNUL returns b up to its first NUL.
func TrimNUL(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
