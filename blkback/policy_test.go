package blkback

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"goxl/blkback/disk"
)

func number(name string) (int, error) {
	if name == "xvda" {
		return vdev, nil
	}
	return strconv.Atoi(name)
}

func TestRules(t *testing.T) {
	const text = `
# what all may
*     *     iops=1000 full=pause
web   *     iops=200 bytes=20M cache=host  # less
web   xvda  full=error cache=direct read-bytes=3K write-bytes=1G write-iops=7 read-iops=0 burst=2s
11111111-2222-3333-4444-55555555AAAA 51728 iops=0
`
	r, err := ParseRules(strings.NewReader(text), number)
	if err != nil {
		t.Fatal(err)
	}
	burst := func(r disk.Rate) disk.Rate { r.Burst = 2 * time.Second; return r }
	for _, tt := range []struct {
		name string
		who  owner
		dev  int
		want Policy
		text string
	}{
		{"some guest", owner{"db", "uuid"}, vdev, Policy{disk.Limits{Total: disk.Rate{IOPS: 1000}}, true, false}, "iops=1000 full=pause"},
		{"nobody known", owner{}, vdev, Policy{disk.Limits{Total: disk.Rate{IOPS: 1000}}, true, false}, "iops=1000 full=pause"},
		{"another disk of a guest", owner{"web", ""}, 5, Policy{disk.Limits{Total: disk.Rate{IOPS: 200, Bytes: 20 << 20}}, true, true}, "iops=200 bytes=20971520 full=pause cache=host"},
		{"all lines", owner{"web", ""}, vdev, Policy{disk.Limits{Total: burst(disk.Rate{IOPS: 200, Bytes: 20 << 20}),
			Read: burst(disk.Rate{Bytes: 3 << 10}), Write: burst(disk.Rate{IOPS: 7, Bytes: 1 << 30})}, false, false},
			"iops=200 bytes=20971520 read-bytes=3072 write-iops=7 write-bytes=1073741824 burst=2s"},
		{"by UUID", owner{"x", "11111111-2222-3333-4444-55555555aaaa"}, 51728, Policy{Pause: true}, "full=pause"},
	} {
		got := r.of(tt.who, tt.dev)
		if got != tt.want || got.String() != tt.text {
			t.Errorf("%s: %+v (%s), want %+v", tt.name, got, got, tt.want)
		}
	}
}

func TestRulesRefused(t *testing.T) {
	for line, want := range map[string]string{
		"web xvda":                      "want GUEST DISK",
		"web disk iops=1":               "disk",
		"web xvda iops":                 "requests per second",
		"web xvda iops=-1":              "requests per second",
		"web xvda iops=10M":             "requests per second",
		"web xvda bytes=M":              "bytes per second",
		"web xvda bytes=9000000G":       "bytes per second",
		"web xvda bytes=1.5M":           "bytes per second",
		"web xvda burst=2":              "a time up to",
		"web xvda burst=2h":             "a time up to",
		"web xvda burst=-1s":            "a time up to",
		"web xvda full=maybe":           "error or pause",
		"web xvda cache=writeback":      "direct or host",
		"web xvda speed=9":              "not a word of a policy",
		"web xvda iops=1 full=x iops=2": "error or pause",
	} {
		r, err := ParseRules(strings.NewReader("# first\n"+line), number)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "line 2") || len(r.list) != 0 {
			t.Errorf("%q: %v, %v, want %q", line, r, err, want)
		}
	}
}

// FuzzRules parses any text; what a policy says of itself means the same again.
func FuzzRules(f *testing.F) {
	f.Add("web xvda iops=500 burst=2s full=pause\n* * bytes=20M # all\n")
	f.Add("a 1 read-bytes=1125899906842624 write-iops=0")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRules(strings.NewReader(text), number)
		if err != nil {
			return
		}
		p := r.of(owner{name: "web"}, vdev)
		var again Policy
		if err := again.set(strings.Fields(p.String())); err != nil || again.String() != p.String() {
			t.Errorf("%q means %q, %v", p, again, err)
		}
		if strings.Count(fmt.Sprint(p), "=") > 9 {
			t.Errorf("%s", p)
		}
	})
}

// TestCacheOfADisk has the policy in xenstore say how the disk is opened.
func TestCacheOfADisk(t *testing.T) {
	directDisk(t, 1<<20) // skips where there is no direct I/O
	for text, direct := range map[string]bool{"": true, "cache=direct": true, "cache=host": false} {
		d := startDaemon(t)
		id, _ := d.addDisk(map[string]string{PolicyKey: text})
		d.Await(d.back("state"), "2")
		d.drv.mu.Lock()
		v := d.drv.vbds[id]
		d.drv.mu.Unlock()
		if v == nil || v.info.Direct != direct {
			t.Errorf("with %q: %+v", text, v.info)
		}
		d.stop()
	}
}
