package config

import "strings"

// token is a kind of token of the file format.
type token int

const (
	tokEnd token = iota
	tokIdent
	tokString
	tokNumber
	tokNewline
	tokAdd    // +=
	tokAssign // =
	tokSemi
	tokOpen
	tokClose
	tokComma
)

// String returns the name that xl gives the token in a syntax error.
func (t token) String() string {
	return [...]string{"$end", "IDENT", "STRING", "NUMBER", "NEWLINE", "+=", "'='", "';'", "'['", "']'", "','"}[t]
}

// lexer cuts a file into tokens. Errors inside a token are reported to the
// parser at once, and scanning goes on behind them, as in xl.
//
// Source: tools/libs/util/libxlu_cfg_l.l, which has not changed from 4.14 to 4.22.
type lexer struct {
	src  string
	pos  int // of the next byte
	line int // of the next byte

	text      string // of the last token, for error reports
	start     int    // where it begins
	value     string // of an IDENT, NUMBER or STRING
	tokenLine int    // of the last token

	lineStart int  // position of the first byte of this line
	python    bool // something looked like Python code

	lexicalError func(msg string) // both are called with text set
	escapeError  func(msg string)
}

// next scans one token. At the end of the file it leaves tokenLine as it was.
func (l *lexer) next() token {
	for {
		l.start = l.pos
		if l.pos >= len(l.src) {
			l.text = ""
			return tokEnd
		}
		c := l.src[l.pos]
		switch {
		case c == ' ' || c == '\t':
			l.pos++
		case c == '\n':
			return l.newline(l.pos + 1)
		case c == '#' && strings.IndexByte(l.src[l.pos:], '\n') >= 0:
			return l.newline(l.pos + strings.IndexByte(l.src[l.pos:], '\n') + 1)
		case 'a' <= c && c <= 'z':
			return l.take(tokIdent, l.span(isIdent))
		case '0' <= c && c <= '9':
			return l.take(tokNumber, l.span(isNumber))
		case c == '\'' || c == '"':
			if end := l.stringEnd(c); end > 0 {
				l.take(tokString, end)
				l.value = l.dequote(l.text)
				return tokString
			}
			if t, ok := l.bad(); ok {
				return t
			}
		case strings.HasPrefix(l.src[l.pos:], "+="):
			return l.take(tokAdd, l.pos+2)
		default:
			if i := strings.IndexByte("=;[],", c); i >= 0 {
				return l.take(tokAssign+token(i), l.pos+1)
			}
			if t, ok := l.bad(); ok {
				return t
			}
		}
	}
}

func isIdent(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '.' || c == '_'
}

func isNumber(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || c == 'x' }

// span returns the end of the run of bytes that satisfy ok.
func (l *lexer) span(ok func(byte) bool) int {
	end := l.pos + 1
	for end < len(l.src) && ok(l.src[end]) {
		end++
	}
	return end
}

func (l *lexer) take(t token, end int) token {
	l.text = l.src[l.start:end]
	l.value = l.text
	l.pos = end
	l.tokenLine = l.line
	return t
}

func (l *lexer) newline(end int) token {
	l.take(tokNewline, end)
	l.line++
	l.lineStart = l.pos
	return tokNewline
}

// stringEnd returns the position behind the closing quote, or 0 if there is none
// on this line.
func (l *lexer) stringEnd(quote byte) int {
	for i := l.pos + 1; i < len(l.src); i++ {
		switch l.src[i] {
		case quote:
			return i + 1
		case '\n', 0: // xl dies of a zero byte in a string
			return 0
		case '\\':
			i++
			if i < len(l.src) && l.src[i] == '\n' {
				return 0
			}
		}
	}
	return 0
}

// bad skips what is no token: one byte with what follows it up to a blank, or
// with the one blank or newline that follows it. A newline is returned as a token.
func (l *lexer) bad() (token, bool) {
	if strings.IndexByte("+-.():", l.src[l.pos]) >= 0 {
		l.python = true
	}
	end := l.pos + 1
	if end >= len(l.src) {
		l.pos, l.text = end, l.src[l.start:]
		return tokEnd, true // nothing follows it, so flex does not get to the report
	}
	switch c := l.src[end]; c {
	case '\n':
		l.text, l.pos = l.src[l.start:end+1], end+1
		l.line++
		l.lexicalError("lexical error")
		l.lineStart = l.pos
		l.tokenLine = l.line
		return tokNewline, true
	case ' ', '\t':
		end++
	default:
		for end < len(l.src) && !strings.ContainsRune(" \t\n", rune(l.src[end])) {
			end++
		}
	}
	l.text, l.pos = l.src[l.start:end], end
	l.lexicalError("lexical error")
	return 0, false
}

// escapes are the characters that stand for another one after a backslash.
const escapes = "\"\"''\\\\a\ab\bf\fn\nr\rt\tv\v"

// dequote returns what a quoted string stands for. Numeric escapes are broken in
// every release: hexadecimal ones are always an error, octal ones need two or
// three digits more, read as decimal, and stand for nothing.
func (l *lexer) dequote(quoted string) string {
	s := quoted[1 : len(quoted)-1]
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		i++ // the lexer made sure that something follows
		switch c := s[i]; {
		case plainEscape(c) != 0:
			b.WriteByte(plainEscape(c))
		case c == 'x':
			l.escapeError("invalid digit after backslash hexnumerical character escape in quoted string")
			return b.String()
		case '0' <= c && c <= '7':
			n := octalDigits(s[i+1:])
			if n < 2 {
				l.escapeError("invalid digit after backslash octalnumerical character escape in quoted string")
				return b.String()
			}
			i += n
		default:
			l.escapeError("invalid character after backlash in quoted string")
			return b.String()
		}
	}
	return b.String()
}

func plainEscape(c byte) byte {
	for i := 0; i < len(escapes); i += 2 {
		if escapes[i] == c {
			return escapes[i+1]
		}
	}
	return 0
}

// octalDigits returns how many of the first three bytes strtoul reads as a
// decimal number, blanks and a sign included.
func octalDigits(s string) int {
	s = s[:min(len(s), 3)]
	_, rest, ok := scanUint(s, 10)
	if !ok {
		return 0
	}
	return len(s) - len(rest)
}
