package main

import (
	"fmt"
	"strings"
)

// ownOption is a global option that the genuine xl lacks. It matches by its full
// name only, before the command, so that it shadows nothing of the genuine one.
type ownOption struct{ name, desc string }

var ownOptions = []ownOption{
	{"--stats", "Count hypercalls and system calls of this command, on stderr"},
	{"--strict", "Exit with 1 where xl ignores a failure and exits with 0"},
	{"--json-errors", "Report each error as one JSON object on stderr"},
}

// ownCommandOptions are options of genuine commands that the genuine xl lacks.
var ownCommandOptions = []ownOption{
	{"console --log [--back=N]", "Show the last 64 KiB of output, also of a domain that is gone: the last one of this name, or the Nth before"},
	{"create --timeline", "Say on stderr how long each step took"},
	{"save --compress", "Compress what is written; the genuine xl refuses to restore it, and says why"},
	{"migrate --quick", "Suspend the domain, move it and resume it, for one that cannot be moved live"},
	{"migrate --check", "Only tell everything that speaks against moving it, and what could not be checked"},
	{"migrate --unchecked", "Move it although something speaks against that"},
	{"migrate --plain", "Send the genuine stream also to another goxl, not packed"},
	{"migrate --with-disks", "Copy its disks, which blkback serves, to the other host as well; only to another goxl"},
	{"migrate --overwrite-disks", "With that, replace files that are there"},
	{"migrate --timeline", "Tell where the time went, and what the pause was made of"},
	{"migrate --resolve <Domain> <host>", "End a migration that left <Domain>--migratedaway here, by what the other side has"},
	{"migrate --peer-dead <Domain>", "The same, and it runs on here: on your word that it does not run elsewhere"},
	{"migrate --max-downtime=MS", "Suspend the domain once the rest can be sent within MS milliseconds"},
	{"migrate --auto-converge", "Give it less and less CPU time while it writes faster than it can be sent, and all of it afterwards"},
	{"migrate --max-rounds=N", "Suspend it after N rounds of sending at the latest"},
	{"migrate --streams=N", "Send it over N TCP connections of its own, in TLS 1.3, to another goxl"},
	{"migrate --via=ADDRESS[:PORT]", "Connect there for that, instead of where ssh has reached the host"},
	{"migrate --listen=ADDRESS[:PORT]", "Have the receiver listen there for that, instead of on a free port everywhere"},
	{"migrate --tls-ca=FILE --tls-cert=FILE --tls-key=FILE", "Show certificates of an authority for that; the files are those of both hosts"},
	{"mem-set --wait[=SECONDS]", "Wait for the domain to follow, 30 seconds unless told; exit 1, with what it gave, if it does not"},
}

// ownVerb is a command that the genuine xl lacks, found by its full name only.
// A verb without a description is for goxl itself and not listed.
type ownVerb struct {
	name, desc, usage string
	offline           bool // works without Xen
}

var ownVerbs = []ownVerb{
	{name: "stream", offline: true,
		desc:  "Check a saved domain, tell what is in it, or unpack it, without restoring it",
		usage: "verify <CheckpointFile>... | inspect <CheckpointFile> | unpack <CheckpointFile> <PlainFile>"},
	{name: "suspend",
		desc:  "Suspend a domain where it is; the genuine xl has it since 4.20",
		usage: "<Domain>"},
	{name: "resume",
		desc:  "Let a suspended domain go on; the genuine xl has it since 4.20",
		usage: "<Domain>"},
	{name: gcVerb,
		desc:  "Remove what a killed \"xl create\" of goxl has left",
		usage: "[--dry-run]"},
	{name: doctorVerb,
		desc:  "Look over the host: what is missing, what was left behind, what waits for a decision",
		usage: "[--json]"},
	{name: vifCaptureVerb,
		desc:  "Record what passes a network interface, as a pcapng file",
		usage: "[-w FILE] [-s BYTES] [-c FRAMES] <Domain> <DevId|mac>"},
}

// ownHelp is the block at the end of "xl help".
func ownHelp() string {
	var b strings.Builder
	b.WriteString("\nOnly in goxl, by full name and, for options, before the subcommand:\n\n")
	for _, v := range ownVerbs {
		if v.desc != "" {
			fmt.Fprintf(&b, "  %-18s %s\n", v.name, v.desc)
		}
	}
	for _, o := range ownOptions {
		fmt.Fprintf(&b, "  %-18s %s\n", o.name, o.desc)
	}
	for _, o := range ownCommandOptions {
		fmt.Fprintf(&b, "  %s\n  %-18s %s\n", o.name, "", o.desc)
	}
	return b.String()
}

// ownHelpCommand is the help of one of our own verbs.
func ownHelpCommand(name string) (string, bool) {
	v := findOwnVerb(name)
	if v == nil || v.desc == "" {
		return "", false
	}
	return fmt.Sprintf("Usage: xl [-vtT] %s %s\n\n%s.\n\n", v.name, v.usage, v.desc), true
}

func findOwnVerb(name string) *ownVerb {
	for i := range ownVerbs {
		if ownVerbs[i].name == name {
			return &ownVerbs[i]
		}
	}
	return nil
}
