package interop

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// move is one way of moving a mini guest: by a file, or to the same host while it
// runs; and who does which half.
type move struct {
	kind     string
	live     bool
	from, to dom0.Tool
}

func (m move) String() string {
	how := "saved and restored"
	if m.live {
		how = "migrated live"
	}
	return fmt.Sprintf("%s/%s from %s to %s", m.kind, how, m.from.Name, m.to.Name)
}

// moves returns the whole matrix where that is asked for, else a cover in which
// every release has every kind, way and tool on either end.
func moves(ours, genuine dom0.Tool) []move {
	var all []move
	for _, kind := range []string{"pvh", "pv"} {
		for _, live := range []bool{false, true} {
			for _, from := range []dom0.Tool{ours, genuine} {
				for _, to := range []dom0.Tool{ours, genuine} {
					if from != genuine || to != genuine { // theirs to theirs is not our concern
						all = append(all, move{kind, live, from, to})
					}
				}
			}
		}
	}
	if dom0.Full() {
		return all
	}
	var cover []move
	for _, m := range all {
		switch {
		case m.kind == "pvh" && m.live && m.to == genuine,
			m.kind == "pvh" && !m.live && m.from == genuine,
			m.kind == "pv" && !m.live && (m.from == genuine) == (os.Getenv("GOXL_XEN") != "4.17"),
			m.kind == "pv" && m.live && m.from != m.to:
			cover = append(cover, m)
		}
	}
	return cover
}

// TestLabMove moves a guest that keeps changing a checksummed memory, in every way
// between both tools, and has it check its memory where it arrives.
func TestLabMove(t *testing.T) {
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	for _, m := range moves(ours, genuine) {
		t.Run(m.String(), func(t *testing.T) {
			defer dom0.Leftovers(t)()
			g := newMini(t, m.kind, 64, 1, "mini.tick=10 mini.dirty=400", "")
			t.Cleanup(func() { g.clear(t, genuine) })
			g.start(t, ours)
			if m.live && m.kind == "pv" {
				needLogDirty(t, g, ours, m)
			}
			old := g.id(t, genuine)
			begin := time.Now()
			if m.live {
				m.from.Must(t, "migrate", "-s", "", g.name, m.to.Path+" migrate-receive")
			} else {
				file := filepath.Join(t.TempDir(), "saved")
				m.from.Must(t, "save", g.name, file)
				g.waitGone(t, genuine)
				m.to.Must(t, "restore", file)
			}
			took := time.Since(begin)
			if id := g.id(t, genuine); id == "" || id == old {
				t.Fatalf("the guest was domain %s and is domain %q", old, id)
			}
			c := talkTo(t, g, genuine)
			c.expect(t, "goxl-guest resumed\r")
			gap := c.expect(t, `longest gap (\d+) ms`)[1]
			pages := c.expect(t, `pattern: ok, (\d+) pages`)[1]
			t.Logf("%s in %d ms, longest gap %s ms, %s pages whole", m, took.Milliseconds(), gap, pages)
			c.say(t, "check") // it goes on, and so does its console
			c.expect(t, `pattern: ok, \d+ pages`)
			sameAnswers(t, g, ours, genuine)
			ours.Must(t, "shutdown", "-w", g.name)
			g.waitGone(t, genuine)
		})
	}
}

// needLogDirty asks Xen whether the PV guest can be moved while it runs. Our --check has
// to say the same, and where it is no, the move fails and leaves the guest running.
func needLogDirty(t *testing.T, g *guest, ours dom0.Tool, m move) {
	t.Helper()
	refusal := dom0.LogDirty(t, g.id(t, ours))
	check := ours.Run(t, dom0.Patience, "migrate", "-s", "", "--check", g.name, ours.Path+" migrate-receive")
	if (check.Code != 0) != (refusal != nil) || strings.Contains(check.Stdout, "log-dirty") != (refusal != nil) {
		t.Errorf("Xen says %v, and --check exits with %d:\n%s%s", refusal, check.Code, check.Stdout, check.Stderr)
	}
	if refusal == nil {
		return
	}
	if r := m.from.Run(t, dom0.Patience, "migrate", "-s", "", g.name, m.to.Path+" migrate-receive"); r.Code == 0 {
		t.Errorf("Xen refuses (%v), and it was moved all the same", refusal)
	}
	if state := ours.Must(t, "list", g.name); !running.MatchString(state) {
		t.Errorf("after the refusal the guest does not run:\n%s", state)
	}
	g.clear(t, ours) // before the host is looked at for what is left
	t.Skipf("this Xen cannot note what a PV guest writes, nothing can move it while it runs: %v", refusal)
}

// running is the state of a guest that runs, or waits for something.
var running = regexp.MustCompile(` [r-][b-]---- `)

// TestLabCheckpoint has ours save a guest that goes on where it is, and a save that
// fails at any stage leave the guest running as it was.
func TestLabCheckpoint(t *testing.T) {
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	for _, kind := range []string{"pvh", "pv"} {
		t.Run(kind, func(t *testing.T) {
			defer dom0.Leftovers(t)()
			g := newMini(t, kind, 32, 1, "mini.tick=10", "")
			t.Cleanup(func() { g.clear(t, genuine) })
			c := g.start(t, ours)
			runsOn := func() {
				c.expect(t, "goxl-guest resumed in place")
				c.expect(t, `pattern: ok, \d+ pages`)
			}
			file := filepath.Join(t.TempDir(), "saved")
			ours.Must(t, "save", "-c", g.name, file)
			if _, err := os.Stat(file); err != nil {
				t.Error(err)
			}
			runsOn()
			small := filepath.Join(smallDisk(t), "saved")
			for name, to := range map[string]string{"1 MiB are free": small, "no space left": "/dev/full"} {
				if r := ours.Run(t, dom0.Patience, "save", g.name, to); r.Code != 1 || !strings.Contains(r.Stderr, name) {
					t.Errorf("%s: exit %d\n%s", to, r.Code, r.Stderr)
				}
			}
			// Compressed it might fit, and does not: the disk is full in the middle of it.
			if r := ours.Run(t, dom0.Patience, "save", "--compress", g.name, small); r.Code != 1 || !strings.Contains(r.Stderr, "no space left") {
				t.Errorf("compressed: exit %d\n%s", r.Code, r.Stderr)
			}
			runsOn()
			if left, _ := filepath.Glob(small + "*"); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
			saveInto(t, ours, g, func(r *os.File, _ *os.Process) { r.Close() }) // the reader dies
			runsOn()
			saveInto(t, ours, g, func(_ *os.File, xl *os.Process) { xl.Signal(unix.SIGHUP) }) // nobody reads
			runsOn()
			unheard(t, ours, "save", "-c", "--compress", g.name, file)
			runsOn()
			ours.Must(t, "shutdown", "-w", g.name)
			g.waitGone(t, genuine)
		})
	}
}

// unheard runs a command whose messages nobody reads any more, which is no reason to fail.
func unheard(t *testing.T, x dom0.Tool, args ...string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	cmd := exec.Command(x.Path, args...)
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Run(); err != nil {
		t.Errorf("%s, unheard: %v", x.Line(args), err)
	}
}

// saveInto saves the guest into a pipe, of which a part is read before disturb is
// called and nothing afterwards, and checks that the save fails.
func saveInto(t *testing.T, x dom0.Tool, g *guest, disturb func(r *os.File, xl *os.Process)) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(x.Path, "save", g.name, "/dev/fd/3")
	cmd.ExtraFiles = []*os.File{w}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := io.CopyN(io.Discard, r, 4<<20); err != nil {
		t.Fatal(err)
	}
	disturb(r, cmd.Process)
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("a save that was cut short ended with %v", err)
	}
}

// smallDisk is a folder with room for a MiB.
func smallDisk(t *testing.T) string {
	dir := t.TempDir()
	dom0.Sh(t, "mount -t tmpfs -o size=1m small "+dir)
	t.Cleanup(func() { exec.Command("umount", dir).Run() })
	return dir
}
