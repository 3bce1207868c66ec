package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"goxl/xenctrl/xentest"
)

// genuineXL is the genuine xl of the running release.
func genuineXL(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("GENUINE_XL"); path != "" {
		return path
	}
	found, _ := filepath.Glob("/usr/lib/xen-*/bin/xl")
	if len(found) == 0 {
		t.Fatal("no genuine xl on this host")
	}
	return found[0]
}

// execXL runs a real xl, ours or the genuine one.
func execXL(t *testing.T, path string, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		t.Fatalf("%s %q: %v", path, args, err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// What differs between two runs of one program, and between what each of the two
// adds to say where an error came from.
var (
	libraryLine = regexp.MustCompile(`(?m)^(libxl|xc|xencall:buffer|xencall|xenforeignmemory|xl): .*\n\n?`)
	cpuSeconds  = regexp.MustCompile(` +[0-9]+\.[0-9](  |\n| )`)
	runState    = regexp.MustCompile(` [r-][b-][p-][s-][-rscwS?][d-]  | +[0-9]+ +[r-][b-]- `)
	clock       = regexp.MustCompile(`[ 0-9]?[0-9]:[0-9][0-9](:[0-9][0-9])?`)
	freeMemory  = regexp.MustCompile(`(?m)^(free_memory +: |   0: +[0-9]+ +)[0-9]+`)
)

// settle removes what changes by itself from a list.
func settle(s string) string {
	s = runState.ReplaceAllString(s, " STATE ")
	s = cpuSeconds.ReplaceAllString(s, " TIME$1")
	s = clock.ReplaceAllString(s, "CLOCK")
	return freeMemory.ReplaceAllString(s, "$1 FREE")
}

// TestLabSameAsGenuine runs command lines that change nothing by ours and by the
// genuine xl in turn, and compares stdout, stderr and exit status. Lines that
// either prints about its insides are left out; domain 0 is there on any host.
func TestLabSameAsGenuine(t *testing.T) {
	xentest.NeedXen(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	genuine := genuineXL(t)
	for i, line := range []string{
		"list", "list -v", "list -Z", "list -c", "list -n", "list -vZcn", "list 0", "list Domain-0", "list -c Domain-0",
		"list 0 1", "list -q", "list --lo -x", "list --no-such", "list 0 -v", "list 29999", "list no-such-domain", "li",
		"vcpu-list", "vcpu-list 0", "vcpu-list Domain-0 0", "vcpu-list 29999", "vcpu-list no-such-domain",
		"vm-list", "info", "info -n", "info --numa", "info xen", "info nothing", "info -n xen_major", "info free_memory",
		"uptime", "uptime -s", "uptime 0", "uptime no-such-domain", "sharing", "sharing 0", "sharing 29999", "sharing 0 0",
		"claims", "dmesg", "dmesg -x", "dmesg --cl -x",
		"domid Domain-0", "domid 0", "domid no-such-domain", "domid", "domname 0", "domname x", "domname 29999", "domname -- -1", "domname",
		"cpupool-list", "cpupool-list -c", "cpupool-list Pool-0", "cpupool-list 0", "cpupool-list no-such-pool",
		"cpupool-destroy no-such-pool", "cpupool-rename no-such-pool x", "cpupool-migrate no-such-domain Pool-0", "cpupool-migrate 0 no-such-pool",
		"sched-credit", "sched-credit -s", "sched-credit -w 5", "sched-credit -d 0 -s", "sched-credit -t 1", "sched-credit -d 0",
		"sched-credit2", "sched-credit2 -s", "sched-credit2 -d 0", "sched-credit2 -d Domain-0", "sched-credit2 -d no-such-domain",
		"sched-credit2 -p Pool-0", "sched-credit2 -p no-such-pool", "sched-credit2 -p Pool-0 -d 0", "sched-credit2 --dom=0", "sched-credit2 -c 7",
		"sched-rtds", "sched-rtds -d 0", "sched-rtds -v all", "sched-rtds -d 0 -p 4", "sched-rtds -e 2", "sched-rtds -d 0 -v 1 -v all", "sched-rtds --cpupool",
		"block-list", "block-list 0", "block-list no-such-domain", "block-list 29999", "network-list", "network-list 0",
		"network-list no-such-domain", "channel-list 0",
		"pause", "pause no-such-domain", "pause 29999", "unpause no-such-domain", "unpause 29999", "destroy", "destroy 0", "destroy no-such-domain",
		"destroy 29999", "destroy -x", "shutdown", "shutdown -w", "shutdown no-such-domain", "reboot", "reboot no-such-domain", "reboot -q",
		"rename", "rename 0", "rename no-such-domain x", "trigger", "trigger no-such-domain nmi", "trigger 0 no-such-trigger",
		"sysrq", "sysrq no-such-domain h", "sysrq 0 hh", "debug-keys", "button-press", "button-press no-such-domain power", "button-press 0 nothing",
		"vcpu-set", "vcpu-set 0", "vcpu-set 0 x", "vcpu-set 0 -- -1", "vcpu-set 0 9999", "vcpu-set no-such-domain 1", "vcpu-set 29999 1", "vcpu-set -i 29999 1",
		"console", "console no-such-domain", "console 29999", "console -t nothing 0", "console 0", "console -e x",
		"vncviewer", "vncviewer no-such-domain", "vncviewer 0", "set-parameters", "set-parameters no-such-parameter=1",
		"help", "help list", "help no-such-command", "help help", "help he", "hel", "lst", "re", "", "-x", "--verbose", "-v list 0", "-vvv list 0", "-N list",
		"-N", "info -x", "list -h", "list --help", "-vftT list 0", "shutd -h",
	} {
		if !xentest.OneIn(3, i) {
			continue
		}
		t.Run(strings.ReplaceAll(line, " ", "_"), func(t *testing.T) { sameAsGenuine(t, self, genuine, line) })
	}
}

// sameAsGenuine compares one command line. The state of a host moves under us, so
// a difference counts only when it is there again and again.
func sameAsGenuine(t *testing.T, self, genuine, line string) {
	args := strings.Fields(line)
	for try := 1; ; try++ {
		want := execXL(t, genuine, nil, args...)
		got := execXL(t, self, []string{asXL}, args...)
		for _, r := range []*result{&want, &got} {
			r.err = libraryLine.ReplaceAllString(strings.ReplaceAll(r.err, genuine, "xl"), "")
			r.err = strings.ReplaceAll(r.err, self, "xl")
			r.err = libraryLine.ReplaceAllString(r.err, "")
			r.out = settle(r.out)
		}
		got.out = strings.Replace(got.out, ownHelp(), "", 1)
		if got == want {
			return
		}
		if try == 4 {
			t.Errorf("xl %s:\nours    %d %q\n        %q\ngenuine %d %q\n        %q",
				line, got.status, got.err, got.out, want.status, want.err, want.out)
			return
		}
	}
}
