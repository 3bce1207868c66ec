package move

import (
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"
)

// move is one way of a guest from host to host, and who has which half.
type move struct {
	kind                string
	quick               bool
	genuineS, genuineR  bool // sender, receiver
	needsShadow, onlyIn bool // a PV guest that runs; not in the cover
}

func (m move) String() string {
	how, who := "live", map[bool]string{false: "ours", true: "genuine"}
	if m.quick {
		how = "quick"
	}
	return fmt.Sprintf("%s %s from %s to %s", m.kind, how, who[m.genuineS], who[m.genuineR])
}

// moves is the matrix, or a cover of it with each kind, way and tool on either end.
func moves() (list []move) {
	for _, m := range []move{
		{kind: "pvh"}, {kind: "pvh", genuineR: true}, {kind: "pvh", genuineS: true},
		{kind: "pv", quick: true}, {kind: "pv", quick: true, genuineR: true},
		{kind: "pvh", quick: true, onlyIn: true}, {kind: "pvh", quick: true, genuineR: true, onlyIn: true},
		{kind: "pv", needsShadow: true, onlyIn: true}, {kind: "pv", genuineR: true, needsShadow: true, onlyIn: true},
		{kind: "pv", genuineS: true, needsShadow: true, onlyIn: true},
	} {
		if !m.onlyIn || full() {
			list = append(list, m)
		}
	}
	return list
}

func full() bool { return os.Getenv("GOXL_MATRIX") == "full" }

// TestLabMove takes a guest with a checksummed memory from host to host in every way.
func TestLabMove(t *testing.T) {
	here, there := hosts(t)
	for _, m := range moves() {
		t.Run(m.String(), func(t *testing.T) {
			const name = "mover"
			t.Cleanup(func() { clear(t, name, here, there) })
			create(t, here, name, m.kind)
			option := ""
			if m.quick {
				option = "--quick "
			}
			if m.needsShadow {
				if out, err := here.try(t, here.migrate(false, "--check ", name, there, false)); err != nil {
					t.Skipf("Xen %s cannot move a PV guest that runs, and says so beforehand:\n%s", here.xen, out)
				}
			}
			begin := time.Now()
			out := here.must(t, here.migrate(m.genuineS, option, name, there, m.genuineR)+" 2>&1")
			took := time.Since(begin)
			gap := there.whole(t, name)
			t.Logf("%s from Xen %s to %s in %s, longest gap %s ms", m, here.xen, there.xen, took.Round(100*time.Millisecond), gap)
			if said := regexp.MustCompile(`The guest (will pause for about [^:]*|paused for \d+ ms)`).FindAllString(out, -1); m.quick && len(said) != 2 {
				t.Errorf("the pause is not told before and after:\n%s", out)
			} else if m.quick {
				t.Log(said)
			}
			if left := here.domains(t, name); len(left) > 0 {
				t.Errorf("here is %v", left)
			}
			there.must(t, there.tool(false)+" shutdown -w "+name)
		})
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
		true:  {`note disk: not checked.*xvda`, `note bridge: not checked: that it has br7`},
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
	there.must(t, "truncate -s 1M /root/checked.img")
	if out := here.must(t, here.migrate(false, "--check ", name, there, false)+" 2>&1 || true"); !regexp.MustCompile(`xvda \(/root/checked.img\): not shared`).MatchString(out) {
		t.Errorf("a copy counts as the disk:\n%s", out)
	}
	if n := running(here.domains(t, name), there.domains(t, name)); n != 1 {
		t.Errorf("%d run", n)
	}
}
