package config

import (
	"fmt"
	"strings"
)

// Problem is one thing that is wrong, or doubtful, in a configuration.
type Problem struct {
	File   string // as it was named to Parse; may be "command line"
	Line   int    // counted from 1; 0 if not known
	Column int    // in bytes, from 1; 0 if not known

	// Code is a stable name for this kind of problem, such as "config.syntax".
	Code string
	Msg  string // what is wrong: lower case, no file, no newline
	Hint string // what to do about it; may be empty

	// Text is what the genuine xl writes to stderr for this, byte for byte, which
	// includes the newlines. It is empty where the genuine xl says nothing.
	Text string
}

// Warning is a Problem that did not keep the configuration from being used.
type Warning = Problem

// Codes of problems. They are stable: scripts match them.
const (
	CodeSyntax     = "config.syntax"      // the file is not in the format
	CodeType       = "config.type"        // list instead of a value, or text instead of a number
	CodeValue      = "config.value"       // a value that the key cannot have
	CodeMissing    = "config.missing"     // something that must be there is not
	CodeConflict   = "config.conflict"    // two settings contradict each other
	CodeDisk       = "config.disk"        // in a disk specification
	CodeVIF        = "config.vif"         // in a vif specification
	CodePCI        = "config.pci"         // in a pci specification
	CodeDevice     = "config.device"      // in the specification of any other device
	CodeCPUList    = "config.cpus"        // in a list of CPUs
	CodeCPUID      = "config.cpuid"       // in a cpuid setting
	CodeDeprecated = "config.deprecated"  // works, but will not for ever
	CodeUnknownKey = "config.unknown-key" // a key that nobody knows
	CodeUnusedKey  = "config.unused-key"  // a key that has no effect in this file
	CodeJSON       = "config.json"        // not the JSON of a configuration
)

// String returns the problem on one line: "guest.cfg:3:7: text (hint)".
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
		if p.Line > 0 {
			fmt.Fprintf(&b, "%d:", p.Line)
		}
		if p.Line > 0 && p.Column > 0 {
			fmt.Fprintf(&b, "%d:", p.Column)
		}
		b.WriteByte(' ')
	}
	b.WriteString(p.Msg)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Error is returned for a configuration that cannot be used.
type Error struct {
	// Problems are what is wrong, in the order of the file; there is at least one.
	Problems []Problem
	// Exit is the status that the genuine xl exits with.
	Exit int
}

func (e *Error) Error() string {
	text := e.Problems[0].String()
	if n := len(e.Problems) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more)", n)
	}
	return text
}

// Text returns what the genuine xl writes to stderr for e.
func (e *Error) Text() string {
	var b strings.Builder
	for _, p := range e.Problems {
		b.WriteString(p.Text)
	}
	return b.String()
}

// Code returns the code of the first problem.
func (e *Error) Code() string { return e.Problems[0].Code }

// fatal is an Error of one problem that makes xl exit with status 1.
func fatal(code, text string, args ...any) *Error {
	return fatalExit(1, code, text, args...)
}

// fatalExit is fatal with another exit status. The message is xl's text without
// its decorations.
func fatalExit(exit int, code, text string, args ...any) *Error {
	text = fmt.Sprintf(text, args...)
	return &Error{Exit: exit, Problems: []Problem{{Code: code, Msg: plain(text), Text: text}}}
}

// plain strips from a text of xl's what is not part of the message.
func plain(text string) string {
	text = strings.TrimRight(text, "\n")
	for _, prefix := range []string{"xl: ", "ERROR: ", "WARNING: ", "Warning: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return strings.ReplaceAll(strings.TrimRight(text, ".!"), "\n", " ")
}
