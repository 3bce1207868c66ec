package interop

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"goxl/lab/dom0"
)

// outcome is how things are after a guest has ended, without what is never the same
// twice: ids, processes, times.
type outcome struct {
	Domains []string // "name, ended" or "name, alive"
	Log     []string
	Core    int64 // size of the core file, 0 if there is none
}

func (g *guest) core() string { return "/var/lib/xen/dump/" + g.name }

// log is the guest's log so far; "" when it has none.
func (g *guest) log() string {
	text, _ := os.ReadFile("/var/log/xen/xl-" + g.name + ".log")
	return string(text)
}

func (g *guest) outcome(t *testing.T, x dom0.Tool) outcome {
	t.Helper()
	var o outcome
	for _, d := range domainsOf(t, g, x) {
		how := "alive"
		if strings.ContainsAny(d.state, "sc") {
			how = "ended"
		}
		o.Domains = append(o.Domains, g.steady(d.name)+", "+how)
	}
	o.Log = g.steadyLog(g.log())
	if f, err := os.Stat(g.core()); err == nil {
		o.Core = f.Size()
	}
	return o
}

// listed is a line of xl list.
type listed struct{ name, id, state string }

// domainsOf lists the domains whose name begins with the guest's.
func domainsOf(t *testing.T, g *guest, x dom0.Tool) []listed {
	t.Helper()
	var all []listed
	for line := range strings.Lines(x.Run(t, dom0.Patience, "list").Stdout) {
		if f := strings.Fields(line); len(f) == 6 && strings.HasPrefix(f[0], g.name) {
			all = append(all, listed{f[0], f[1], f[4]})
		}
	}
	return all
}

var (
	follower = regexp.MustCompile(`\(domid (\d+)\) to die \[pid (\d+)\]`)
	process  = regexp.MustCompile(`\[pid \d+\]`)
	keptTime = regexp.MustCompile(`-\d{8}T\d{4}Z`)
	domainID = regexp.MustCompile(`([Dd]omain |domid )(\d+)`)
)

// steady replaces the guest's name, and the time in the name of a kept domain.
func (g *guest) steady(s string) string {
	return keptTime.ReplaceAllString(strings.ReplaceAll(s, g.name, "NAME"), "-TIME")
}

// onlyOne begins the lines that one tool's log has and the other's has not.
var onlyOne = []string{
	"libxl: ", "xc: ", // the genuine libraries' own messages
	"a soft reset needs an HVM guest", // instead of those
}

// steadyLog is a guest's log with domain ids counted from 1 on.
func (g *guest) steadyLog(text string) []string {
	ids := map[string]int{}
	var all []string
next:
	for line := range strings.Lines(text) {
		for _, own := range onlyOne {
			if strings.HasPrefix(line, own) {
				continue next
			}
		}
		line = domainID.ReplaceAllStringFunc(line, func(s string) string {
			m := domainID.FindStringSubmatch(s)
			if ids[m[2]] == 0 {
				ids[m[2]] = len(ids) + 1
			}
			return m[1] + "#" + strconv.Itoa(ids[m[2]])
		})
		line = process.ReplaceAllString(g.steady(line), "[pid N]")
		all = append(all, strings.TrimRight(line, "\n"))
	}
	return all
}
