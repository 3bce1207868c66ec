package config

import (
	"errors"
	"fmt"
	"strings"
)

// value is what a key was set to: a text, or a list of values.
type value struct {
	text   string
	list   []*value
	isList bool
	line   int
}

// setting is one assignment of a file.
type setting struct {
	name   string
	val    *value
	added  bool // by +=
	line   int
	column int
	used   bool   // read by someone
	why    string // it was not
}

// maxDepth is how deep lists may be nested; it keeps hostile files from eating
// the stack. Bison's stack of 10000 ends xl's parser at a similar depth.
const maxDepth = 1000

// parser reads assignments from a file.
//
// It follows the grammar of xl (tools/libs/util/libxlu_cfg_y.y, unchanged from
// 4.14 to 4.22) down to where the generated parser notices an error and what it
// then expects to see: the messages name it, and scripts know them.
type parser struct {
	lexer
	file     string
	tok      token
	problems []Problem
	failed   bool
	quietTo  int // lines up to this one had their lexical error
	recover  int // shifts until syntax errors are reported again
	depth    int

	settings map[string]*setting
	order    []*setting // as written, without those that were replaced
}

// errSyntax ends the parsing of an assignment; the report was made.
var errSyntax = errors.New("syntax error")

// errAbort ends the parsing of the file; the report was made.
var errAbort = errors.New("syntax error that hides the rest")

func parseSyntax(file, src string) *parser {
	p := &parser{file: file, quietTo: -1, settings: map[string]*setting{}}
	p.src, p.line = src, 1
	p.tokenLine = 1
	p.lexicalError = p.reportLexical
	p.escapeError = p.reportEscape
	p.advance()
	p.statements()
	return p
}

func (p *parser) advance() { p.tok = p.next() }

// shift accepts the current token.
func (p *parser) shift() {
	if p.recover > 0 {
		p.recover--
	}
	if p.tok != tokEnd {
		p.advance()
	}
}

// statements reads the whole file.
func (p *parser) statements() {
	for {
		var err error
		switch p.tok {
		case tokEnd:
			return
		case tokNewline, tokSemi:
			p.shift()
		case tokIdent:
			err = p.statement()
		default:
			err = p.syntaxError("$end", "IDENT", "NEWLINE", "';'")
		}
		if err == errAbort || err != nil && !p.skipLine() {
			return
		}
	}
}

// statement reads an assignment with what ends it.
func (p *parser) statement() error {
	if err := p.assignment(); err != nil {
		return err
	}
	switch p.tok {
	case tokNewline, tokSemi:
		p.shift()
	case tokEnd:
	default:
		p.syntaxError("$end")
		return errAbort // the generated parser gives up here
	}
	return nil
}

// skipLine goes to the line after a syntax error, or reports that there is none.
func (p *parser) skipLine() bool {
	for p.tok != tokNewline {
		if p.tok == tokEnd {
			return false
		}
		p.advance()
	}
	p.recover = 3
	p.shift()
	return true
}

func (p *parser) assignment() error {
	s := &setting{name: p.value, column: p.column()}
	p.shift()
	switch p.tok {
	case tokAssign:
	case tokAdd:
		s.added = true
	default:
		return p.syntaxError("+=", "'='")
	}
	p.shift()
	if p.tok != tokString && p.tok != tokNumber && p.tok != tokOpen {
		return p.syntaxError("STRING", "NUMBER", "'['")
	}
	s.line = p.tokenLine
	var err error
	if s.val, err = p.readValue(); err != nil {
		return err
	}
	p.store(s) // before the next token is read: an error names the current one
	p.shift()
	return nil
}

// readValue reads a value and stops at its last token.
func (p *parser) readValue() (*value, error) {
	v := &value{line: p.tokenLine, text: p.value}
	if p.tok == tokOpen {
		v.text = ""
		return v, p.readList(v)
	}
	return v, nil
}

// readList reads what is between brackets, and stops at the closing one.
func (p *parser) readList(v *value) error {
	v.isList = true
	if p.depth++; p.depth > maxDepth {
		p.report(p.tokenLine, "memory exhausted", "lists are nested too deeply")
		return errAbort
	}
	defer func() { p.depth-- }()
	p.shift()
	p.newlines()
	for p.tok == tokString || p.tok == tokNumber || p.tok == tokOpen {
		item, err := p.readValue()
		if err != nil {
			return err
		}
		v.list = append(v.list, item)
		p.shift()
		p.newlines()
		if p.tok != tokComma {
			break
		}
		p.shift()
		p.newlines()
	}
	if p.tok != tokClose {
		return p.syntaxError("']'")
	}
	return nil
}

func (p *parser) newlines() {
	for p.tok == tokNewline {
		p.shift()
	}
}

// store keeps an assignment, joining += with what was there.
func (p *parser) store(s *setting) {
	if p.failed {
		return
	}
	old := p.settings[s.name]
	if s.added && old != nil {
		if old.val.isList != s.val.isList {
			p.reportLexical(`can't add [list] to "string" or vice versa`)
			return
		}
		s.val.text = old.val.text + s.val.text
		s.val.list = append(old.val.list[:len(old.val.list):len(old.val.list)], s.val.list...)
	}
	p.settings[s.name] = s
	p.order = append(p.order, s)
}

// column returns the column of the current token.
func (p *parser) column() int { return max(p.start-p.lineStart, 0) + 1 }

// syntaxError reports the current token, unless the last report is too near.
func (p *parser) syntaxError(expected ...string) error {
	if p.recover == 0 {
		msg := fmt.Sprintf("syntax error, unexpected %s, expecting %s", p.tok, strings.Join(expected, " or "))
		p.report(p.tokenLine, msg, p.advice())
	}
	p.failed = true
	return errSyntax
}

// advice guesses what the writer of the current token had in mind.
func (p *parser) advice() string {
	switch {
	case p.tok == tokIdent && p.recover == 0:
		return "text must be in quotes; one assignment per line, or a ; between them"
	case p.tok == tokEnd:
		return "the file ends too early: is a quote or a ] missing?"
	case p.tok == tokNewline:
		return "the line ends too early: is a value, a comma or a ] missing?"
	}
	return ""
}

func (p *parser) reportLexical(msg string) {
	hint := ""
	if msg == "lexical error" {
		hint = p.lexicalAdvice()
	}
	p.report(p.line, msg, hint)
	p.quietTo = p.line
}

// reportEscape is for a string that cannot be read. Once there was an error, xl
// does not look into strings any more.
func (p *parser) reportEscape(msg string) {
	if !p.failed {
		p.reportLexical(msg)
		p.failed = true
	}
}

func (p *parser) lexicalAdvice() string {
	switch c := p.text[0]; {
	case c == '#':
		return "a comment on the last line must end with a newline"
	case c == '\r':
		return "the file has Windows line ends; remove the carriage returns"
	case c == '\'' || c == '"':
		return "the closing quote is missing on this line"
	case c == '-' || c == '.':
		return "numbers are whole and have no sign; quote them if they must"
	case 'A' <= c && c <= 'Z' || c == '_':
		return "keys are lower case and text must be in quotes"
	}
	return ""
}

// report notes a problem at the text of the current token. line is that after
// the token, so a newline in the text means the line before.
func (p *parser) report(line int, msg, hint string) {
	if line <= p.quietTo {
		return
	}
	col := p.column()
	near, newline := p.text, ""
	if strings.HasSuffix(near, "\n") {
		near = near[:len(near)-1]
		line--
		if near == "" {
			newline = "<newline>"
		}
	}
	trimmed := strings.TrimRight(near, " \t")
	open, shut := "", ""
	if trimmed != "" || p.tok == tokEnd && p.pos >= len(p.src) && p.text == "" {
		open, shut = "`", "'"
	}
	p.failed = true
	p.problems = append(p.problems, Problem{
		File: p.file, Line: line, Column: col, Code: CodeSyntax, Msg: msg + " near " + quoteNear(trimmed, newline), Hint: hint,
		Text: fmt.Sprintf("%s:%d: config parsing error near %s%s%s%s: %s\n", p.file, line, open, trimmed, shut, newline, msg),
	})
}

func quoteNear(text, newline string) string {
	switch {
	case newline != "":
		return "the end of the line"
	case text == "":
		return "the end of the file"
	}
	return "`" + text + "'"
}

// pythonText is what xl adds after the errors of a file that looks like the
// Python of the days of xm.
func (p *parser) pythonText() string {
	if !p.failed || !p.python {
		return ""
	}
	return "warning: Config file looks like it contains Python code.\n" +
		"warning:  Arbitrary Python is no longer supported.\n" +
		"warning:  See https://wiki.xen.org/wiki/PythonInXlConfig\n"
}
