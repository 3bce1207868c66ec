// Package getopt reads a program's arguments as the getopt_long(3) of the GNU C
// library does, down to its messages, for programs that stand in for others.
package getopt

import (
	"fmt"
	"os"
	"strings"
)

// Long is a long name of a letter.
type Long struct {
	Name   string
	Arg    bool // takes an argument
	Letter byte
}

// Flag is the long name of a letter without an argument.
func Flag(name string, letter byte) Long { return Long{name, false, letter} }

// Value is the long name of a letter with an argument.
func Value(name string, letter byte) Long { return Long{name, true, letter} }

// Scanner sorts arguments: options anywhere before "--", long ones as short as they
// are unique. Each option goes to Set, whose error ends the scan. What is not
// understood is reported through Complain, with the words of glibc, and skipped; a
// program may go on then. With POSIXLY_CORRECT in the environment the first operand
// ends the options.
type Scanner struct {
	Letters  string // each followed by ':' when it takes an argument
	Longs    []Long
	Set      func(letter byte, arg string) error
	Complain func(format string, v ...any)
}

// Scan returns the operands of args.
func (g *Scanner) Scan(args []string) (operands []string, err error) {
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
func (g *Scanner) long(text string, args []string) ([]string, error) {
	name, value, has := strings.Cut(text, "=")
	o, ok := g.find(name, text)
	switch {
	case !ok:
	case has && !o.Arg:
		g.Complain("option '--%s' doesn't allow an argument", o.Name)
	case has || !o.Arg:
		return args, g.Set(o.Letter, value)
	case len(args) == 0:
		g.Complain("option '--%s' requires an argument", o.Name)
	default:
		return args[1:], g.Set(o.Letter, args[0])
	}
	return args, nil
}

// cluster handles the letters of one argument, such as "fp" of "-fp".
func (g *Scanner) cluster(given string, args []string) ([]string, error) {
	for given != "" {
		c := given[0]
		given = given[1:]
		i := strings.IndexByte(g.Letters, c)
		switch {
		case i < 0 || c == ':' || c == ';':
			g.Complain("invalid option -- '%c'", c)
		case !strings.HasPrefix(g.Letters[i+1:], ":"):
			if err := g.Set(c, ""); err != nil {
				return nil, err
			}
		case given != "":
			return args, g.Set(c, given)
		case len(args) == 0:
			g.Complain("option requires an argument -- '%c'", c)
		default:
			return args[1:], g.Set(c, args[0])
		}
	}
	return args, nil
}

// find returns the option that name may be short for; text is all that was given.
func (g *Scanner) find(name, text string) (Long, bool) {
	var found []Long
	for _, o := range g.Longs {
		if o.Name == name {
			return o, true
		}
		if strings.HasPrefix(o.Name, name) {
			found = append(found, o)
		}
	}
	switch len(found) {
	case 0:
		g.Complain("unrecognized option '--%s'", text)
		return Long{}, false
	case 1:
		return found[0], true
	}
	var names strings.Builder
	for _, o := range found {
		fmt.Fprintf(&names, " '--%s'", o.Name)
	}
	g.Complain("option '--%s' is ambiguous; possibilities:%s", text, names.String())
	return Long{}, false
}
