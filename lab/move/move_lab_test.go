package move

import (
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"goxl/lab/dom0"
)

// TestLabMove takes a guest with a checksummed memory from host to host in every way.
func TestLabMove(t *testing.T) {
	here, there := pair(t)
	for _, m := range moves(here.xen + " to " + there.xen) {
		t.Run(m.String(), func(t *testing.T) {
			const name = "mover"
			t.Cleanup(func() { clear(t, name, here, there) })
			create(t, here, name, m.kind)
			if m.kind == "pv" && m.way == live {
				needLogDirty(t, here, there, name)
			}
			begin := time.Now()
			m.run(t, name, here, there)
			took := time.Since(begin)
			gap := there.whole(t, name)
			t.Logf("%s from Xen %s to %s in %s, longest gap %s ms", m, here.xen, there.xen, took.Round(100*time.Millisecond), gap)
			if left := here.domains(t, name); len(left) > 0 {
				t.Errorf("here is %v", left)
			}
			there.must(t, there.tool(false)+" shutdown -w "+name)
		})
	}
}

// run moves the guest.
func (m move) run(t *testing.T, name string, here, there side) {
	t.Helper()
	sender, receiver := here.tool(m.from == "genuine"), there.tool(m.to == "genuine")
	switch m.way {
	case file:
		const saved = "/root/mover.saved"
		here.must(t, fmt.Sprintf("%s save %s %s && %s 'cat > %[3]s' < %[3]s && rm %[3]s", sender, name, saved, there.ssh))
		there.must(t, fmt.Sprintf("%s restore %s && rm %[2]s", receiver, saved))
	case live:
		here.must(t, here.migrate(m.from == "genuine", "", name, there, m.to == "genuine"))
	case quick:
		out := here.must(t, here.migrate(false, "--quick ", name, there, m.to == "genuine")+" 2>&1")
		said := pauseSaid.FindAllString(out, -1)
		if len(said) != 2 {
			t.Errorf("the pause is not told before and after:\n%s", out)
		}
		t.Log(said)
	}
}

// pauseSaid is what is told of a pause, before and after.
var pauseSaid = regexp.MustCompile(`The guest (will pause for about [^:]*|paused for \d+ ms)`)

// needLogDirty asks Xen whether the PV guest here can be moved while it runs; our
// --check has to say the same.
func needLogDirty(t *testing.T, here, there side, name string) {
	t.Helper()
	refusal := dom0.LogDirty(t, here.must(t, here.tool(false)+" domid "+name))
	out, err := here.try(t, here.migrate(false, "--check ", name, there, false))
	if (err != nil) != (refusal != nil) {
		t.Errorf("Xen says %v, and --check %v:\n%s", refusal, err, out)
	}
	if refusal != nil {
		t.Skipf("Xen %s cannot note what a PV guest writes, and --check says so: %v", here.xen, refusal)
	}
}

// migrate is the command that moves a guest to the other side.
func (s side) migrate(genuine bool, option, name string, to side, genuineThere bool) string {
	return fmt.Sprintf("%s migrate -s '' %s%s '%s %s migrate-receive'", s.tool(genuine), option, name, to.ssh, to.tool(genuineThere))
}

// TestLabCheck has everything found out beforehand that speaks against a guest.
func TestLabCheck(t *testing.T) {
	here, there := hosts(t)
	const name = "checked"
	t.Cleanup(func() {
		clear(t, name, here, there)
		here.try(t, "rm -f /root/checked.img; ip link del br7")
	})
	here.must(t, "truncate -s 1M /root/checked.img; ip link add br7 type bridge")
	cfg := t.TempDir() + "/checked.cfg"
	text := fmt.Sprintf("name = %q\ntype = \"pvh\"\nkernel = %q\nmemory = 16\nvcpus = 1\ndisk = [ \"/root/checked.img,raw,xvda,rw\" ]\nvif = [ \"bridge=br7\" ]\n", name, os.Getenv("GOXL_MINI"))
	if err := os.WriteFile(cfg, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	here.must(t, here.tool(false)+" create "+cfg)
	for genuine, want := range map[bool][]string{
		false: {`no +bridge: .*br7: no such bridge`, `no +disk: xvda \(/root/checked.img\): not there`, `2 things speak against it`},
		true: {`note disk: not checked.*xvda`, `note bridge: not checked: that it has br7`,
			`note cpu: checked by hw_caps`, `checked can be moved, as far as can be known; the other side has the genuine xl`},
	} {
		out := here.must(t, here.migrate(false, "--check ", name, there, genuine)+" 2>&1 || true")
		for _, w := range want {
			if !regexp.MustCompile(w).MatchString(out) {
				t.Errorf("genuine %t: no %q in:\n%s", genuine, w, out)
			}
		}
	}
	if out, err := here.try(t, here.migrate(false, "", name, there, false)+" 2>&1"); err == nil || !regexp.MustCompile("Migration not begun").MatchString(err.Error()) {
		t.Errorf("it was moved all the same: %v\n%s", err, out)
	}
	there.must(t, "truncate -s 1M /root/checked.img; losetup -f /root/checked.img")
	t.Cleanup(func() { there.try(t, "losetup -D; rm -f /root/checked.img") })
	out := here.must(t, here.migrate(false, "--check ", name, there, false)+" 2>&1 || true")
	if !regexp.MustCompile(`xvda \(/root/checked.img\): not shared`).MatchString(out) {
		t.Errorf("a copy counts as the disk:\n%s", out)
	}
	if !regexp.MustCompile(`xvda \(/root/checked.img\): in use there by loop device /dev/loop\d`).MatchString(out) {
		t.Errorf("the loop device there is not found:\n%s", out)
	}
	if n := running(here.domains(t, name), there.domains(t, name)); n != 1 {
		t.Errorf("%d run", n)
	}
}
