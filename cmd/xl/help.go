package main

import (
	"fmt"
	"strings"
)

// helpList is the text of "xl help": the commands of release r, and after them,
// apart from the rest, what only goxl has.
func helpList(r release) string {
	var b strings.Builder
	if r < 15 {
		b.WriteString("Usage xl [-vfN] <subcommand> [args]\n\n")
	} else {
		b.WriteString("Usage xl [-vfNtT] <subcommand> [args]\n\n")
	}
	b.WriteString("xl full list of subcommands:\n\n")
	for _, e := range commandTable(r) {
		fmt.Fprintf(&b, " %-19s ", e.name)
		if len(e.name) > 19 {
			fmt.Fprintf(&b, "\n %-19s ", "")
		}
		b.WriteString(e.desc)
		b.WriteByte('\n')
	}
	b.WriteString(ownHelp())
	return b.String()
}

// helpCommand is the text of "xl help name" and of "xl name -h".
func helpCommand(r release, name string) string {
	e := lookup(r, name)
	if e == nil {
		if text, ok := ownHelpCommand(name); ok {
			return text
		}
		return fmt.Sprintf("command \"%s\" not implemented\n", name)
	}
	letters := "vtT"
	if r < 15 {
		letters = "v"
	}
	if e.modifies {
		letters += "f"
	}
	if e.dryRun {
		letters += "N"
	}
	text := fmt.Sprintf("Usage: xl [-%s] %s %s\n\n%s.\n\n", letters, e.name, e.usage, e.desc)
	if e.options != "" || e.emptyOptions {
		text += "Options:\n\n" + e.options + "\n"
	}
	return text
}
