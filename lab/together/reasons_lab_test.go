package together

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// reason is a refusal that the commands of others can explain.
type reason struct {
	verbs []string // that may be refused so; nil is all
	tool  string   // that says so; "" is both
	says  *regexp.Regexp
	// beside has to have been at work on the same guest at the same time, if it is not
	// empty: what the refused command had found was gone, or not yet there.
	beside []string
	ever   bool // or earlier
}

// reasons are all refusals that are none of a tool's faults.
var reasons = []reason{
	{says: regexp.MustCompile(`is an invalid domain identifier`)},
	{verbs: []string{"create", "rename"}, says: regexp.MustCompile(`(?i)domain with name "?[\w-]+"? already exists|has that name already`)},
	{verbs: []string{"block-attach", "network-attach"}, says: regexp.MustCompile(`(?i)already exists|exists already`)},
	{verbs: []string{"block-detach", "network-detach"}, says: regexp.MustCompile(`not connected|Unknown device`)},

	// The first guest of the slot was renamed and has the file.
	{verbs: []string{"create", "block-attach"}, says: regexp.MustCompile(`in use by domain|used in guest domain|hotplug scripts? failed|/block add .* exited with error status`),
		beside: []string{"rename"}, ever: true},

	// The guest went away, or was not complete yet.
	{says: regexp.MustCompile(`went away|is gone|no such domain|no such guest|Non-existant domain|find domain info|removed meanwhile|\(rc=-15\)|disappeared|was closed or removed`),
		beside: []string{"destroy"}},
	{verbs: []string{"mem-set", "block-attach", "network-attach"},
		says: regexp.MustCompile(`retrieve domain configuration|there is no file|unable to add device`), beside: []string{"create", "destroy"}},
	{verbs: []string{"rename"}, says: regexp.MustCompile(`(?i)rename`), beside: []string{"create", "destroy", "rename"}},

	// An emulated processor that many share: libxl gives a script 40 s.
	{tool: "genuine", says: regexp.MustCompile(`killing execution of /etc/xen/scripts/\S+ \w+ because of timeout`)},
}

// explains reports whether the refusal of d is for reason r, given what else was done.
func (r *reason) explains(d *deed, all []*deed) bool {
	if r.verbs != nil && !slices.Contains(r.verbs, d.verb) || r.tool != "" && r.tool != d.tool {
		return false
	}
	if !r.says.MatchString(d.result.Stdout + d.result.Stderr) {
		return false
	}
	return len(r.beside) == 0 || slices.ContainsFunc(all, func(o *deed) bool {
		return o != d && o.slot == d.slot && slices.Contains(r.beside, o.verb) && o.begin.Before(d.end) && (r.ever || d.begin.Before(o.end))
	})
}

// judge fails the test for each refusal that nothing explains.
func (s *storm) judge(t *testing.T) {
	t.Helper()
	for _, d := range s.done {
		switch {
		case d.err != nil:
			t.Error(d.err)
		case d.result.Code == 0:
		case !slices.ContainsFunc(reasons, func(r reason) bool { return r.explains(d, s.done) }):
			t.Errorf("%s: exit %d after %s, and nothing explains it\n%s%s%s", d.line, d.result.Code,
				d.end.Sub(d.begin).Round(time.Millisecond), d.result.Stdout, d.result.Stderr, s.beside(d))
		}
	}
}

// beside tells what else was done to the guest at the time.
func (s *storm) beside(d *deed) string {
	var b strings.Builder
	for _, o := range s.done {
		if o != d && o.slot == d.slot && o.begin.Before(d.end) && d.begin.Before(o.end) {
			fmt.Fprintf(&b, "beside: %s, from %s to %s after its begin, exit %d\n", o.line, o.begin.Sub(d.begin).Round(time.Millisecond),
				o.end.Sub(d.begin).Round(time.Millisecond), o.result.Code)
		}
	}
	return b.String()
}

// story logs all that was done, in its order, for whoever looks into a failure.
func (s *storm) story(t *testing.T) {
	if !t.Failed() || len(s.done) == 0 {
		return
	}
	all := slices.SortedFunc(slices.Values(s.done), func(a, b *deed) int { return a.begin.Compare(b.begin) })
	var b strings.Builder
	for _, d := range all {
		fmt.Fprintf(&b, "%6.2f to %6.2f s  %s: exit %d", d.begin.Sub(all[0].begin).Seconds(), d.end.Sub(all[0].begin).Seconds(), d.line, d.result.Code)
		if said := strings.TrimSpace(d.result.Stderr); said != "" {
			fmt.Fprintf(&b, ", %.300q", said)
		}
		b.WriteByte('\n')
	}
	t.Logf("what was done:\n%s", &b)
}

// report logs how many commands there were of each kind, and how many were refused.
func (s *storm) report(t *testing.T) {
	t.Helper()
	type key struct{ verb, tool string }
	done, refused := map[key]int{}, map[key]int{}
	for _, d := range s.done {
		k := key{d.verb, d.tool}
		done[k]++
		if d.result.Code != 0 {
			refused[k]++
		}
	}
	var lines []string
	for k, n := range done {
		lines = append(lines, fmt.Sprintf("%-14s %-7s %3d, refused %3d", k.verb, k.tool, n, refused[k]))
	}
	slices.Sort(lines)
	t.Logf("%d commands:\n%s", len(s.done), strings.Join(lines, "\n"))
}
