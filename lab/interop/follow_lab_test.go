package interop

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// TestLabUnfollowed: nobody acts on the end of a guest made with -e, by either tool.
func TestLabUnfollowed(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	t.Cleanup(dom0.Leftovers(t))
	var guests [2]*guest
	for n, x := range []dom0.Tool{genuine, ours} {
		g := namedMini(t, fmt.Sprintf("alone-%c", x.Name[0]), "pv", 16, 1, "mini.exit=reboot mini.after=100", "on_reboot = \"restart\"\n")
		t.Cleanup(func() { clearAll(t, g, genuine) })
		x.Must(t, "create", "-e", g.cfg)
		guests[n] = g
	}
	for _, g := range guests {
		id := g.id(t, genuine)
		await(t, g.name+" to end", func() bool { return domainInfo(t, id).Shutdown() })
		if followedByUs(t, g) {
			t.Errorf("%s is on record", g.name)
		}
	}
	time.Sleep(3 * time.Second) // whoever wanted to act would have by now
	for _, g := range guests {
		if got := g.outcome(t, genuine); !slices.Equal(got.Domains, []string{"NAME, ended"}) || got.Log != nil {
			t.Errorf("%s: %+v", g.name, got)
		}
	}
}

// TestLabForeground: xl create -F stays until its guest has ended for good, writes
// the log's lines on stderr, and ends with the same status, in both tools.
func TestLabForeground(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	t.Cleanup(dom0.Leftovers(t))
	type answer struct {
		Out, Err []string
		Code     int
	}
	var answers [2]answer
	for n, x := range []dom0.Tool{genuine, ours} {
		g := namedMini(t, fmt.Sprintf("front-%c", x.Name[0]), "pvh", 16, 1, "", "on_crash = \"restart\"\n")
		t.Cleanup(func() { clearAll(t, g, genuine) })
		cmd := exec.CommandContext(t.Context(), x.Path, "create", "-F", "-q", g.cfg)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill() })
		await(t, g.name, func() bool { return g.id(t, genuine) != "" })
		await(t, "its console", func() bool {
			return exec.Command("xenstore-exists", "/local/domain/"+g.id(t, genuine)+"/console/tty").Run() == nil
		})
		c, old := talkTo(t, g, genuine), g.id(t, genuine)
		c.expect(t, ready)
		if followedByUs(t, g) {
			t.Errorf("%s is on record: the supervisor would act on it as well", g.name)
		}
		c.say(t, "exit crash")
		await(t, g.name+" in a new domain", func() bool { id := g.id(t, genuine); return id != "" && id != old })
		await(t, "its console", func() bool {
			return exec.Command("xenstore-exists", "/local/domain/"+g.id(t, genuine)+"/console/tty").Run() == nil
		})
		c = talkTo(t, g, genuine)
		c.expect(t, ready)
		c.say(t, "exit poweroff")
		cmd.Wait() // its status is compared
		answers[n] = answer{g.steadyLog(out.String()), g.steadyLog(errs.String()), cmd.ProcessState.ExitCode()}
	}
	t.Logf("%+v", answers[0])
	compare(t, answers[0], answers[1])
}

// TestLabSupervisorKilled kills the supervisor before and at some moments after the
// end of a guest. The next command starts another one, which makes up for what was
// not done.
func TestLabSupervisorKilled(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	t.Cleanup(dom0.Leftovers(t))
	g := namedMini(t, "orphan", "pv", 16, 1, "", "on_reboot = \"restart\"\non_crash = \"rename-restart\"\n")
	t.Cleanup(func() { clearAll(t, g, genuine) })
	c := g.start(t, ours)
	kept := 0
	for i, after := range []time.Duration{-1, 0, 50, 150} {
		how := []string{"reboot", "crash"}[i%2]
		old := g.id(t, genuine)
		if after < 0 { // before the end, which nobody sees then
			killSupervisor(t)
		}
		c.say(t, "exit "+how)
		if after < 0 {
			await(t, "its end", func() bool { return domainInfo(t, old).Shutdown() })
		} else {
			time.Sleep(after * time.Millisecond)
			killSupervisor(t)
		}
		time.Sleep(300 * time.Millisecond)
		before := domainsOf(t, g, genuine)
		ours.Must(t, "list")
		c = g.next(t, ours, old)
		if how == "crash" {
			kept++
			clearKept(t, g, genuine)
		}
		t.Logf("%s, killed %d ms after it was told to: before the next command %v", how, after, before)
		if all := domainsOf(t, g, genuine); len(all) != 1 {
			t.Fatalf("after %s: %v, want one domain", how, all)
		}
	}
	c.say(t, "exit poweroff")
	awaitUnfollowed(t, g)
	await(t, "the supervisor to end", func() bool { return len(dom0.Supervisors(t)) == 0 })
}

// clearKept destroys the guest's preserved domain; there has to be one.
func clearKept(t *testing.T, g *guest, x dom0.Tool) {
	t.Helper()
	for _, d := range domainsOf(t, g, x) {
		if d.name != g.name {
			x.Must(t, "destroy", d.id)
			return
		}
	}
	t.Errorf("no domain was kept after the crash")
}

func killSupervisor(t *testing.T) {
	t.Helper()
	all := dom0.Supervisors(t)
	if len(all) != 1 {
		t.Fatalf("supervisors %v, want one", all)
	}
	if err := unix.Kill(all[0], unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "it to be gone", func() bool { return unix.Kill(all[0], 0) != nil })
}

// TestLabLetGo: a guest of ours that the genuine tool saves and restores is followed
// by the genuine tool from then on, one that was renamed by a migration by nobody.
func TestLabLetGo(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	t.Cleanup(dom0.Leftovers(t))
	t.Run("saved and restored by the genuine tool", func(t *testing.T) {
		g := namedMini(t, "lent", "pvh", 16, 1, "", "on_crash = \"restart\"\n")
		t.Cleanup(func() { clearAll(t, g, genuine) })
		c := g.start(t, ours)
		file := filepath.Join(t.TempDir(), "saved")
		genuine.Must(t, "save", g.name, file)
		awaitUnfollowed(t, g)
		genuine.Must(t, "restore", file)
		old := g.id(t, genuine)
		c = talkTo(t, g, genuine)
		c.say(t, "exit crash")
		g.next(t, genuine, old).say(t, "exit poweroff")
		awaitUnfollowed(t, g)
		ours.Must(t, "list") // would wake ours if it had kept the guest
		time.Sleep(time.Second)
		if all := domainsOf(t, g, genuine); len(all) != 0 {
			t.Errorf("left: %v", all)
		}
		log := g.steadyLog(g.log())
		t.Logf("the genuine log:\n%s", strings.Join(log, "\n"))
		if n := strings.Count(strings.Join(log, "\n"), "Rebooting now"); n != 1 {
			t.Errorf("built again %d times, want once", n)
		}
	})
	t.Run("migrated away", func(t *testing.T) {
		g := namedMini(t, "gone", "pv", 16, 1, "", "on_reboot = \"restart\"\n")
		t.Cleanup(func() { clearAll(t, g, genuine) })
		c := g.start(t, ours)
		genuine.Must(t, "rename", g.name, g.name+"--migratedaway")
		c.say(t, "exit reboot")
		awaitUnfollowed(t, g)
		if got := g.outcome(t, genuine); !slices.Equal(got.Domains, []string{"NAME--migratedaway, ended"}) {
			t.Errorf("%+v", got)
		}
	})
}
