package main

import "strconv"

// quote spells a value in printable bytes: control characters and what is not
// ASCII become \t, \n, \r, \000 to \007, or \x and two digits.
func quote(value string) string {
	b := make([]byte, 0, len(value))
	for i := range len(value) {
		switch c := value[i]; {
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\\':
			b = append(b, `\\`...)
		case c >= ' ' && c <= '~':
			b = append(b, c)
		case c < 8:
			b = append(b, '\\', '0', '0', '0'+c)
		default:
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'x', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

// unquote is the reverse, as lenient as the genuine tools: an unknown escape
// stands for its letter, and a lone backslash at the end for a NUL byte.
func unquote(text string) string {
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); {
		c := text[i]
		i++
		if c != '\\' {
			b = append(b, c)
			continue
		}
		if i == len(text) {
			return string(append(b, 0))
		}
		c = text[i]
		i++
		switch {
		case c == 't':
			c = '\t'
		case c == 'n':
			c = '\n'
		case c == 'r':
			c = '\r'
		case c == 'x':
			if v, n, ok := scanNumber(text[i:], 16, 2); ok {
				c = v
				i += n
			}
		case c >= '0' && c <= '7':
			v, n, _ := scanNumber(text[i-1:], 8, 3)
			c = v
			i += n - 1
		}
		b = append(b, c)
	}
	return string(b)
}

// scanNumber reads a number of at most width bytes as scanf's %x and %o do:
// after white space, with a sign, in base 16 with 0x. It returns the number's
// low byte and how many bytes it took.
func scanNumber(s string, base, width int) (v byte, n int, ok bool) {
	for n < len(s) && isSpace(s[n]) {
		n++
	}
	end := min(len(s), n+width)
	negative := false
	if n < end && (s[n] == '-' || s[n] == '+') {
		negative = s[n] == '-'
		n++
	}
	if base == 16 && n+1 < end && s[n] == '0' && (s[n+1] == 'x' || s[n+1] == 'X') {
		ok = true
		n += 2
	}
	for ; n < end; n++ {
		d, err := strconv.ParseUint(s[n:n+1], base, 8)
		if err != nil {
			break
		}
		v = v*byte(base) + byte(d)
		ok = true
	}
	if negative {
		v = -v
	}
	return v, n, ok
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// atoi is C's: the number that s starts with, else 0.
func atoi(s string) int32 {
	for s != "" && isSpace(s[0]) {
		s = s[1:]
	}
	n := 0
	if n < len(s) && (s[n] == '-' || s[n] == '+') {
		n++
	}
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	v, _ := strconv.ParseInt(s[:n], 10, 64) // clamps like strtol
	return int32(v)
}
