package move

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"goxl/xenctrl/xentest"
)

// patience is how long one command may take on two emulated machines.
const patience = 6 * time.Minute

// side is one of the two hosts.
type side struct {
	name string
	ssh  string // what reaches it; "": it is this one
	xen  string
}

// tool is the path of an xl.
func (s side) tool(genuine bool) string {
	if genuine {
		return "/usr/lib/xen-" + s.xen + "/bin/xl"
	}
	return "/opt/goxl/bin/xl"
}

// hosts are this one and its peer, of one release: 4.17, but for the whole matrix.
func hosts(t *testing.T) (here, there side) {
	t.Helper()
	here, there = pair(t)
	if here.xen != there.xen || here.xen != "4.17" && !full() {
		t.Skipf("it is the same from %s to %s as from 4.17 to 4.17", here.xen, there.xen)
	}
	return here, there
}

// pair are this host and its peer, of any releases.
func pair(t *testing.T) (here, there side) {
	t.Helper()
	xentest.NeedXen(t)
	peer := os.Getenv("GOXL_PEER")
	if peer == "" {
		t.Fatal("GOXL_PEER is not set: run this by `make test`, which starts two hosts for it")
	}
	// Of a peer that is gone ssh has to end by itself, or nobody hears of it.
	const ssh = "ssh -o BatchMode=yes -o ServerAliveInterval=3 -o ServerAliveCountMax=3 root@"
	return side{"here", "", os.Getenv("GOXL_XEN")}, side{"there", ssh + peer, os.Getenv("GOXL_PEER_XEN")}
}

// command is a shell script on a host.
func (s side) command(ctx context.Context, script string) *exec.Cmd {
	if s.ssh == "" {
		return exec.CommandContext(ctx, "sh", "-c", script)
	}
	// One connection for all scripts: to make one takes seconds here.
	const shared = " -o ControlMaster=auto -o ControlPersist=120 -o ControlPath=/run/goxl-move.%C "
	cmd := exec.CommandContext(ctx, "sh", "-c", strings.Replace(s.ssh, " ", shared, 1)+" sh -s")
	cmd.Stdin = strings.NewReader(script)
	return cmd
}

// try runs a script and returns what it printed.
func (s side) try(t *testing.T, script string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	cmd := s.command(ctx, script)
	var errs bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &errs, time.Second
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %s: %w\n%s%s", s.name, script, err, out, errs.String())
	}
	return strings.TrimSpace(string(out)), err
}

// must is try for what has to succeed.
func (s side) must(t *testing.T, script string) string {
	t.Helper()
	out, err := s.try(t, script)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// create starts a mini guest here and waits until it is up.
func create(t *testing.T, here side, name, kind string) {
	t.Helper()
	createDirty(t, here, name, kind, "100")
}

// createDirty is create of a guest that writes so many KiB of its memory a second.
func createDirty(t *testing.T, here side, name, kind, dirty string) {
	t.Helper()
	cfg := filepath.Join(t.TempDir(), name+".cfg")
	text := fmt.Sprintf("name = %q\ntype = %q\nkernel = %q\nextra = \"mini.tick=10 mini.dirty=%s\"\nmemory = 16\nvcpus = 1\n", name, kind, os.Getenv("GOXL_MINI"), dirty)
	if err := os.WriteFile(cfg, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	here.must(t, here.tool(false)+" create "+cfg)
	here.listen(t, name, "", "goxl-guest ready", 1)
}

// listen has a guest told something, if anything, and returns what it says: so many
// lines that match.
func (s side) listen(t *testing.T, name, say, pattern string, lines int) string {
	t.Helper()
	tell := ""
	if say != "" {
		tell = "echo " + say + " >&3; "
	}
	return s.must(t, fmt.Sprintf("id=$(%s domid %s) && tty=$(xenstore-read /local/domain/$id/console/tty) && exec 3<>$tty && { %stimeout --foreground 200 grep -a -m%d -E '%s' <&3; }",
		s.tool(false), name, tell, lines, pattern))
}

// whole checks the memory of a guest that has gone on just now: as it found it itself,
// and once more. It returns the longest gap in its ticks, in ms.
func (s side) whole(t *testing.T, name string) string {
	t.Helper()
	said := s.listen(t, name, "check", "longest gap|pattern:", 3)
	if strings.Count(said, "pattern: ok") != 2 {
		t.Errorf("its memory is not whole %s:\n%s", s.name, said)
	}
	gap := regexp.MustCompile(`longest gap (\d+) ms`).FindStringSubmatch(said)
	if gap == nil {
		t.Fatalf("%s it says no gap:\n%s", s.name, said)
	}
	return gap[1]
}

// domains lists a host's guests of a name, with the suffix and the state of each: "-b----".
func (s side) domains(t *testing.T, name string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for line := range strings.Lines(s.must(t, s.tool(false)+" list")) {
		f := strings.Fields(line)
		if len(f) < 6 {
			continue
		}
		if suffix, ok := strings.CutPrefix(f[0], name); ok {
			found[suffix] = f[4]
		}
	}
	return found
}

// running counts those that are neither suspended nor paused.
func running(all ...map[string]string) (n int) {
	for _, m := range all {
		for _, state := range m {
			if !strings.ContainsAny(state, "psd") {
				n++
			}
		}
	}
	return n
}

// clear removes a guest from both hosts.
func clear(t *testing.T, name string, sides ...side) {
	for _, s := range sides {
		for _, suffix := range []string{"", "--incoming", "--migratedaway"} {
			s.try(t, fmt.Sprintf("%s domid %s%s >/dev/null 2>&1 && %[1]s destroy %[2]s%[3]s", s.tool(false), name, suffix))
		}
	}
}

// await looks once a second until ok.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Second) {
		if time.Now().After(end) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}
