package config

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"goxl/xenctrl/xentest"
)

// TestLabCorpus asks the genuine xl of this host a part of the corpus, since a
// call takes seconds in an emulated host; the full matrix asks all of it.
func TestLabCorpus(t *testing.T) {
	xentest.NeedXen(t)
	if os.Getenv("GENUINE_XL") == "" {
		t.Skip("GENUINE_XL does not say where the genuine xl is")
	}
	rel, host := labHost(t)
	known := 0
	for _, f := range readCorpus(t) {
		for i, c := range f.cases {
			if !xentest.OneIn(12, i) {
				continue
			}
			if deviations[c.name] != "" || deviations[c.name+"/"+rel.String()] != "" {
				continue
			}
			known++
			if diff := cmp.Diff(askXL(t, c).String(), ours(c, rel, host).String()); diff != "" {
				t.Errorf("%s (- genuine, + ours)\n%s", c.name, diff)
			}
		}
	}
	t.Logf("asked xl %s about %d configurations", rel, known)
}

// labHost returns what the meaning of a configuration depends on here.
func labHost(t *testing.T) (Release, Host) {
	t.Helper()
	out, err := exec.Command(os.Getenv("GENUINE_XL"), "info").Output()
	if err != nil {
		t.Fatalf("xl info: %v", err)
	}
	number := func(key string) int {
		for line := range strings.Lines(string(out)) {
			name, val, _ := strings.Cut(line, ":")
			if strings.TrimSpace(name) != key {
				continue
			}
			n, err := strconv.Atoi(strings.TrimSpace(val))
			if err != nil {
				t.Fatalf("xl info: %s", line)
			}
			return n
		}
		t.Fatalf("xl info has no %s", key)
		return 0
	}
	host := Host{MaxCPUs: number("max_cpu_id") + 1, OnlineCPUs: number("nr_cpus"), MaxNodes: number("nr_nodes")}
	if host.MaxNodes != 1 {
		t.Skip(fmt.Sprintf("the corpus is for one NUMA node, this host has %d", host.MaxNodes))
	}
	all := NewBitmap(host.OnlineCPUs)
	for i := range host.OnlineCPUs {
		all.Add(i)
	}
	host.NodeCPUs = []Bitmap{all}
	return Release{number("xen_major"), number("xen_minor")}, host
}
