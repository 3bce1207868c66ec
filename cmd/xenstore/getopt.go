package main

import (
	"fmt"
	"os"
	"strings"
)

// longOption is a long name of a letter.
type longOption struct {
	name   string
	arg    bool // takes an argument
	letter byte
}

// getopt sorts args as getopt_long(3) does: options anywhere before "--", long
// ones as short as they are unique. Each option goes to set, whose error ends the
// scan. What is not understood is reported through complain, with the words of
// glibc, and skipped; the genuine tools then go on. With POSIXLY_CORRECT in the
// environment the first operand ends the options.
type getopt struct {
	letters  string // each followed by ':' when it takes an argument
	longs    []longOption
	set      func(letter byte, arg string) error
	complain func(format string, v ...any)
}

// scan returns the operands of args.
func (g *getopt) scan(args []string) (operands []string, err error) {
	_, posix := os.LookupEnv("POSIXLY_CORRECT")
	for len(args) > 0 && err == nil {
		a := args[0]
		args = args[1:]
		switch {
		case a == "--":
			return append(operands, args...), nil
		case strings.HasPrefix(a, "--"):
			args, err = g.long(a[2:], args)
		case len(a) > 1 && a[0] == '-':
			args, err = g.cluster(a[1:], args)
		case posix:
			return append(append(operands, a), args...), nil
		default:
			operands = append(operands, a)
		}
	}
	return operands, err
}

// long handles one long option and returns the arguments that it leaves.
func (g *getopt) long(text string, args []string) ([]string, error) {
	name, value, has := strings.Cut(text, "=")
	o, ok := g.find(name, text)
	switch {
	case !ok:
	case has && !o.arg:
		g.complain("option '--%s' doesn't allow an argument", o.name)
	case has || !o.arg:
		return args, g.set(o.letter, value)
	case len(args) == 0:
		g.complain("option '--%s' requires an argument", o.name)
	default:
		return args[1:], g.set(o.letter, args[0])
	}
	return args, nil
}

// cluster handles the letters of one argument, such as "fp" of "-fp".
func (g *getopt) cluster(given string, args []string) ([]string, error) {
	for given != "" {
		c := given[0]
		given = given[1:]
		i := strings.IndexByte(g.letters, c)
		switch {
		case i < 0 || c == ':' || c == ';':
			g.complain("invalid option -- '%c'", c)
		case !strings.HasPrefix(g.letters[i+1:], ":"):
			if err := g.set(c, ""); err != nil {
				return nil, err
			}
		case given != "":
			return args, g.set(c, given)
		case len(args) == 0:
			g.complain("option requires an argument -- '%c'", c)
		default:
			return args[1:], g.set(c, args[0])
		}
	}
	return args, nil
}

// find returns the option that name may be short for; text is all that was given.
func (g *getopt) find(name, text string) (longOption, bool) {
	var found []longOption
	for _, o := range g.longs {
		if o.name == name {
			return o, true
		}
		if strings.HasPrefix(o.name, name) {
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		g.complain("unrecognized option '--%s'", text)
		return longOption{}, false
	case 1:
		return found[0], true
	}
	var names strings.Builder
	for _, o := range found {
		fmt.Fprintf(&names, " '--%s'", o.name)
	}
	g.complain("option '--%s' is ambiguous; possibilities:%s", text, names.String())
	return longOption{}, false
}
