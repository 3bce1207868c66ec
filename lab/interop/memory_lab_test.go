package interop

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"goxl/lab/dom0"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

// xlConf has both tools read that text as their xl.conf until the test ends.
func xlConf(t *testing.T, text string) {
	t.Helper()
	const path = "/etc/xen/xl.conf"
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(b []byte) {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Error(err)
		}
	}
	write([]byte(text + "\n"))
	t.Cleanup(func() { write(old) })
}

// freeKiB is what Xen has free, with what it still has to scrub.
func freeKiB(t *testing.T) int {
	t.Helper()
	h, err := xenctrl.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	p, err := h.PhysInfo()
	if err != nil {
		t.Fatal(err)
	}
	return int((p.FreePages + p.ScrubPages).KiB())
}

func dom0Target(t *testing.T) int {
	t.Helper()
	return number(t, strings.TrimSpace(dom0.Sh(t, "xenstore-read /local/domain/0/memory/target")))
}

// setDom0 sets domain 0's target and waits until it is that large.
func setDom0(t *testing.T, x dom0.Tool, kib int) {
	t.Helper()
	x.Must(t, "mem-set", "0", fmt.Sprintf("%dk", kib))
	last, steady := 0, 0
	eventually(t, dom0.Patience, fmt.Sprintf("domain 0 to have %d KiB", kib), func() bool {
		have := int(domainInfo(t, "0").Pages.KiB())
		if steady++; have != last { // it takes memory bit by bit
			last, steady = have, 0
		}
		return have > kib-1024 && have < kib+1024 && steady >= 4
	})
}

// pausedMini creates a guest that stays paused and is destroyed in the end.
func pausedMini(t *testing.T, x dom0.Tool, name string, mib int) (*guest, dom0.Result) {
	t.Helper()
	g := namedMini(t, name, "pvh", mib, 1, "", "")
	r := x.Run(t, dom0.Patience, "create", "-q", "-p", g.cfg)
	if r.Code == 0 {
		t.Cleanup(func() { x.Run(t, dom0.Patience, "destroy", g.name) })
	}
	return g, r
}

// shortage is the refusal of a guest for which there is too little memory.
var shortage = regexp.MustCompile(`not enough memory: (\d+) MiB free, (?:(\d+) MiB of that set aside for guests being built, )?` +
	`(\d+) MiB needed, (\d+) MiB short; could give: (.*)`)

// A full host refuses the next guest in numbers, whoever is named can give, and
// nothing has changed by it. With autoballoon domain 0 gives as much for ours as for
// the genuine tool, and is not asked for what it must keep.
func TestLabFullHost(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	full := int(domainInfo(t, "0").Pages.KiB())
	setDom0(t, genuine, full)    // after its boot it has no target that could be read
	t.Cleanup(dom0.Leftovers(t)) // the last thing
	t.Cleanup(func() { setDom0(t, genuine, full) })
	xlConf(t, `autoballoon="off"`)
	const size = 128
	if _, r := pausedMini(t, ours, "full-most", freeKiB(t)/1024-3*size); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	var last *guest
	var refused dom0.Result
	for i := 0; refused.Code == 0; i++ {
		if i == 4 {
			t.Fatal("a full host takes another guest")
		}
		last, refused = pausedMini(t, ours, fmt.Sprintf("full-%d", i), size)
	}
	checkShortage(t, refused, ours, last, size)
	checkSame(t, genuine, "refused by the genuine tool as well", func() {
		if r := genuine.Run(t, dom0.Patience, "create", "-q", "-p", last.cfg); r.Code != refused.Code {
			t.Errorf("the genuine tool exits %d, ours %d", r.Code, refused.Code)
		}
	})
	last.followAdvice(t, refused, ours)
	setDom0(t, genuine, full)
	xlConf(t, `autoballoon="on"`)
	var after []int
	for _, x := range []dom0.Tool{ours, genuine} {
		free := freeKiB(t)
		x.Must(t, "create", "-q", "-p", last.cfg)
		gave := full - dom0Target(t)
		need := gave + free
		t.Logf("%s: domain 0 gives %d KiB besides the %d that were free", x.Name, gave, free)
		if need%2048 != 0 || need < size<<10 || need > (size+16)<<10 {
			t.Errorf("%s freed %d KiB for a guest of %d MiB", x.Name, need, size)
		}
		after = append(after, need)
		x.Must(t, "destroy", last.name)
		setDom0(t, genuine, full)
	}
	if after[0] != after[1] {
		t.Errorf("ours frees %d KiB for the guest, the genuine tool %d", after[0], after[1])
	}
	for _, x := range []dom0.Tool{ours, genuine} {
		checkSame(t, genuine, "more than domain 0 can give, by "+x.Name, func() {
			if _, r := pausedMini(t, x, "full-huge", full/1024+2*size); r.Code == 0 {
				t.Error("it was made")
			}
		})
	}
	// A vif whose script fails ends a creation after domain 0 has made room for it.
	doomed := namedMini(t, "full-doomed", "pvh", size, 1, "", "vif=['script=/bin/false']")
	checkSame(t, genuine, "refused after domain 0 gave", func() {
		r := ours.Run(t, dom0.Patience, "-v", "create", "-q", "-p", doomed.cfg)
		if r.Code == 0 || !strings.Contains(r.Stderr, "/bin/false") {
			t.Errorf("exit %d, and not for the vif's script: %s", r.Code, r.Stderr)
		}
	})
	eventually(t, dom0.Patience, "domain 0 to have its memory again", func() bool { return int(domainInfo(t, "0").Pages.KiB()) >= full-1024 })
}

// checkSame checks that what is done leaves free memory, domain 0's target and the
// domains as they were. Xen frees a refused guest's memory in its own time.
func checkSame(t *testing.T, x dom0.Tool, what string, do func()) {
	t.Helper()
	domains := func() string { return dom0.Sh(t, "xenstore-list /local/domain | sort -n") }
	free, target, list := freeKiB(t), dom0Target(t), domains()
	do()
	eventually(t, dom0.Patience, what+": memory to be free again", func() bool { return freeKiB(t) >= free-64 })
	if now := dom0Target(t); now != target {
		t.Errorf("%s: domain 0's target was %d KiB and is %d", what, target, now)
	}
	if now := domains(); now != list {
		t.Errorf("%s: domains were\n%sand are\n%s", what, list, now)
	}
}

// checkShortage checks the numbers of a refusal, and that it changed nothing.
func checkShortage(t *testing.T, r dom0.Result, x dom0.Tool, g *guest, mib int) {
	t.Helper()
	t.Log(r.Stderr)
	var again dom0.Result
	checkSame(t, x, "refused", func() { again = x.Run(t, dom0.Patience, "create", "-q", "-p", g.cfg) })
	said := shortage.FindStringSubmatch(again.Stderr)
	if said == nil {
		t.Fatalf("no numbers in %q", again.Stderr)
	}
	free, need, short := number(t, said[1]), number(t, said[3]), number(t, said[4])
	if now := freeKiB(t) / 1024; free < now-1 || free > now+1 {
		t.Errorf("%d MiB are said to be free, Xen says %d", free, now)
	}
	if need < mib || need > mib+16 || short < need-free-1 || short > need-free+1 {
		t.Errorf("a guest of %d MiB is said to need %d MiB, with %d free %d short", mib, need, free, short)
	}
	for _, name := range []string{"Domain-0", "full-most", "full-0"} {
		if !strings.Contains(said[5], name+" up to ") {
			t.Errorf("%s is not said to have memory to give: %s", name, said[5])
		}
	}
}

// followAdvice does what a refusal advises, and creates the guest.
func (g *guest) followAdvice(t *testing.T, refused dom0.Result, x dom0.Tool) {
	t.Helper()
	advice := regexp.MustCompile(`Domain-0 up to \d+ of its \d+ MiB \(xl (mem-set 0 \d+m)\)`).FindStringSubmatch(refused.Stderr)
	if advice == nil {
		t.Fatalf("no advice in %q", refused.Stderr)
	}
	before := freeKiB(t)
	x.Must(t, strings.Fields(advice[1])...)
	short := number(t, shortage.FindStringSubmatch(refused.Stderr)[4])
	eventually(t, dom0.Patience, "domain 0 to give", func() bool { return freeKiB(t) >= before+(short-1)<<10 })
	x.Must(t, "create", "-q", "-p", g.cfg)
	x.Must(t, "destroy", g.name)
}

// What Xen has set aside for a guest is listed by both tools alike, and a refusal
// does not count it as free.
func TestLabClaims(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	defer dom0.Leftovers(t)()
	g := namedMini(t, "claimer", "pv", 16, 1, "", "")
	t.Cleanup(func() { g.clear(t, ours) })
	ours.Must(t, "create", "-q", "-p", g.cfg)
	genuine.Must(t, "mem-max", g.name, "256")
	h, err := xenctrl.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	id := xenctrl.DomID(number(t, g.id(t, ours)))
	if err := h.ClaimPages(id, abi.KiB(256<<10).Pages()); err != nil {
		t.Fatal(err)
	}
	defer h.ClaimPages(id, 0)
	for _, mode := range []string{"1", "0"} {
		xlConf(t, "claim_mode="+mode+"\nautoballoon=\"off\"")
		a, b := ours.Run(t, dom0.Patience, "claims"), genuine.Run(t, dom0.Patience, "claims")
		if withoutTimes(a.Stdout) != withoutTimes(b.Stdout) || a.Stderr != b.Stderr || a.Code != b.Code {
			t.Errorf("claim_mode=%s: ours says %q and\n%sthe genuine tool %q and\n%s", mode, a.Stderr, a.Stdout, b.Stderr, b.Stdout)
		}
	}
	claimed := int(domainInfo(t, g.id(t, ours)).Outstanding.KiB() / 1024)
	if claimed < 230 || claimed > 240 {
		t.Errorf("%d MiB are claimed for a guest of 16 MiB that may have 256", claimed)
	}
	for _, x := range []dom0.Tool{ours, genuine} {
		if got := strings.TrimSpace(x.Must(t, "info", "outstanding_claims")); got != strconv.Itoa(claimed) {
			t.Errorf("%s: %s MiB are claimed, Xen says %d", x.Name, got, claimed)
		}
	}
	_, r := pausedMini(t, ours, "unclaimed", freeKiB(t)/1024+64)
	said := shortage.FindStringSubmatch(r.Stderr)
	if r.Code == 0 || said == nil || said[2] != strconv.Itoa(claimed) {
		t.Errorf("exit %d: want %d MiB set aside: %s", r.Code, claimed, r.Stderr)
	}
	ours.Must(t, "destroy", g.name)
}

// withoutTimes leaves out of a list how much processor time each domain has used.
func withoutTimes(list string) string {
	return regexp.MustCompile(`\d+\.\d\b`).ReplaceAllString(list, "")
}

// mem-set --wait tells what a guest really gave. It never has less than it needs to
// go on, whatever its target says.
func TestLabMemSetWaits(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	for _, kind := range []string{"pvh", "pv"} {
		t.Run(kind, func(t *testing.T) {
			defer dom0.Leftovers(t)()
			g := newMini(t, kind, 32, 1, "", "")
			t.Cleanup(func() { g.clear(t, genuine) })
			c := g.start(t, ours)
			has := func() int { return int(domainInfo(t, g.id(t, ours)).Pages.KiB() / 1024) }
			ours.Must(t, "mem-set", "--wait=120", g.name, "20")
			if now := has(); now < 19 || now > 21 {
				t.Errorf("it has %d MiB, asked for 20", now)
			}
			ours.Must(t, "pause", g.name)
			before := has()
			checkUnreached(t, ours.Run(t, dom0.Patience, "mem-set", "--wait=1", g.name, "12"), "gave", 0, before-12, before, "it is paused")
			ours.Must(t, "unpause", g.name)
			ours.Must(t, "mem-set", "--wait=120", g.name, "12")
			r := ours.Run(t, dom0.Patience, "mem-set", "--wait=3", g.name, "512k") // it gives what it can
			least := int(domainInfo(t, g.id(t, ours)).Pages.KiB())
			t.Logf("%s: the guest keeps %d KiB: exit %d %s", kind, least, r.Code, r.Stderr)
			c.say(t, "check")
			c.expect(t, `pattern: ok, \d+ pages`)
			if least <= 512 {
				t.Error("it gave what it needs")
			}
			ours.Must(t, "mem-set", "--wait=120", g.name, "32")
			c.say(t, "check")
			c.expect(t, `pattern: ok, \d+ pages`)
			ours.Must(t, "destroy", g.name)
		})
	}
}

// checkUnreached checks what mem-set --wait says of a guest that has not followed.
func checkUnreached(t *testing.T, r dom0.Result, verb string, did, asked, has int, hint string) {
	t.Helper()
	said := regexp.MustCompile(`it (gave|took) (-?\d+) of (\d+) MiB within \S+ and has (\d+) MiB now`).FindStringSubmatch(r.Stderr)
	if r.Code != 1 || said == nil || said[1] != verb || !strings.Contains(r.Stderr, hint) {
		t.Fatalf("exit %d: %s", r.Code, r.Stderr)
	}
	for i, want := range []int{did, asked, has} {
		if got := number(t, said[i+2]); got < want-1 || got > want+1 {
			t.Errorf("number %d is %d, want %d: %s", i+1, got, want, r.Stderr)
		}
	}
}
