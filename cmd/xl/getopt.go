package main

import (
	"errors"
	"strings"
)

// optionTable says which options a command takes, in the notation of getopt(3):
// letters, each followed by ':' when it takes an argument, and long names that
// stand for a letter. "-h" and "--help" belong to every table.
type optionTable struct {
	letters string
	longs   []longOption
}

// longOption is a long name for a letter. Several may stand for the same one,
// and the letter need not be in the table by itself.
type longOption struct {
	name   string
	arg    bool // takes an argument, "--name=X" or "--name X"
	letter byte
}

var helpOption = longOption{"help", false, 'h'}

// errHelp reports that help was asked for.
var errHelp = errors.New("help requested")

// optionError is an option that the table lacks, lacks an argument, or got one
// that it does not take. Letter is 0 for an unknown or ambiguous long option.
type optionError struct{ letter byte }

func (e *optionError) Error() string {
	if e.letter == 0 {
		return "unknown long option"
	}
	return "bad option -" + string(rune(e.letter))
}

// scanner walks over a command's arguments as the genuine xl does: its
// getopt_long inherits "stop at the first plain argument" from the scan of the
// global options, so options must stand before the arguments. Long names may be
// cut short while they stay unique; "--" ends the options.
type scanner struct {
	table   *optionTable
	args    []string
	cluster string // letters left of the argument being scanned: "xyz" of "-xyz"
}

// next returns the next option's letter and argument; done is true when only
// plain arguments are left, which rest then returns.
func (s *scanner) next() (letter byte, arg string, done bool, err error) {
	if s.cluster != "" {
		return s.nextLetter()
	}
	if len(s.args) == 0 {
		return 0, "", true, nil
	}
	a := s.args[0]
	switch {
	case a == "--":
		s.args = s.args[1:]
		return 0, "", true, nil
	case strings.HasPrefix(a, "--"):
		s.args = s.args[1:]
		letter, arg, err = s.longName(a[2:])
		return letter, arg, false, err
	case len(a) > 1 && a[0] == '-':
		s.args, s.cluster = s.args[1:], a[1:]
		return s.nextLetter()
	}
	return 0, "", true, nil
}

// rest returns the arguments not consumed so far.
func (s *scanner) rest() []string { return s.args }

func (s *scanner) nextLetter() (letter byte, arg string, done bool, err error) {
	letter, s.cluster = s.cluster[0], s.cluster[1:]
	if letter == 'h' {
		return letter, "", false, errHelp
	}
	i := strings.IndexByte(s.table.letters, letter)
	if i < 0 || letter == ':' || letter == ';' {
		return letter, "", false, &optionError{letter}
	}
	if !strings.HasPrefix(s.table.letters[i+1:], ":") {
		return letter, "", false, nil
	}
	arg, s.cluster = s.cluster, ""
	if arg == "" {
		if len(s.args) == 0 {
			return letter, "", false, &optionError{letter}
		}
		arg, s.args = s.args[0], s.args[1:]
	}
	return letter, arg, false, nil
}

func (s *scanner) longName(text string) (letter byte, arg string, err error) {
	name, value, hasValue := strings.Cut(text, "=")
	o, ok := s.table.long(name)
	switch {
	case !ok:
		return 0, "", &optionError{}
	case hasValue && !o.arg && o.letter != 'h':
		return o.letter, "", &optionError{o.letter}
	case o.letter == 'h':
		return o.letter, "", errHelp
	case !o.arg || hasValue:
		return o.letter, value, nil
	case len(s.args) == 0:
		return o.letter, "", &optionError{o.letter}
	}
	value, s.args = s.args[0], s.args[1:]
	return o.letter, value, nil
}

// ownLetter is the first letter of options that the genuine xl lacks. They match
// by their full name only, so that they make no short form of its own ambiguous.
const ownLetter = 0xc0

// long finds the option called name or, when there is none, the only one that
// starts with it; names that mean the same are no contradiction.
func (t *optionTable) long(name string) (found longOption, ok bool) {
	unique := true
	for i := 0; i <= len(t.longs); i++ {
		o := helpOption // last in every genuine table
		if i < len(t.longs) {
			o = t.longs[i]
		}
		switch {
		case o.name == name:
			return o, true
		case o.letter >= ownLetter || !strings.HasPrefix(o.name, name):
		case !ok:
			found, ok = o, true
		case o.arg != found.arg || o.letter != found.letter:
			unique = false
		}
	}
	return found, ok && unique
}
