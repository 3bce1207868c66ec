package together

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
	"goxl/xenstore"
)

// TestLabKills has commands of ours create, reboot and destroy guests and attach and
// detach devices, and kills at random moments the command, the hotplug script that
// works for it, the guest, or the supervisor. Then the guests are destroyed, xl gc
// does its work, and nothing is left: no domain, node, loop device, interface, file,
// note or process. The host works as before.
func TestLabKills(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	k := newKiller(t)
	dom0.Drivers(t)
	const round = 30 * time.Second
	clean := dom0.Leftovers(t)
	t.Cleanup(func() { k.clear(t) })
	for end := time.Now().Add(howLong(t, 75*time.Second, 15*time.Minute)); time.Now().Before(end) && !t.Failed(); {
		k.rage(t, min(round, time.Until(end)))
		k.clear(t)
		clean()
	}
	if !t.Failed() {
		k.proveWell(t)
		clean()
	}
	k.report(t)
}

// accident is what befalls a command.
type accident string

const (
	none       accident = "let be"
	command    accident = "command killed"
	script     accident = "hotplug script killed"
	supervisor accident = "supervisor killed"
	crash      accident = "guest crashed"
	destroyed  accident = "guest destroyed by the genuine tool"
)

// accidents of a kind of command, and "" for all others. A script that works for a
// killed command is let be: what it does is on record, see README.
var accidents = map[string][]accident{
	"create": {none, command, command, script, destroyed},
	"reboot": {none, command, supervisor, supervisor, script, crash, destroyed},
	"":       {none, command, command, script, crash, destroyed},
}

// killer is our tool at work and under attack.
type killer struct {
	ours, genuine dom0.Tool
	victims       []*victim
	seed          uint64
	round         int
	mu            sync.Mutex
	counts        map[string]int // by verb and accident: how often it happened
	commands      int
	takes         map[string]time.Duration // how long a command takes that is let be
	store         *xenstore.Client
}

// victim is a guest; its name may be borne by no domain, or by several.
type victim struct{ name, cfg, dir string }

func newKiller(t *testing.T) *killer {
	t.Helper()
	k := &killer{seed: seed(t), counts: map[string]int{}, takes: map[string]time.Duration{}}
	k.ours, k.genuine = dom0.Toolstacks(t)
	k.store = lookInto(t).store
	block, vif := slowScript(t, "block"), slowScript(t, "vif-bridge")
	dir := plainDir(t)
	for i := range 4 {
		v := &victim{name: fmt.Sprintf("victim%d", i), dir: dir}
		v.cfg = filepath.Join(dir, v.name+".cfg")
		disk, nic := "format=raw,vdev=xvda,access=rw,", "bridge=xenbr0"
		if i == 3 { // with scripts that are none of those that we stand in for, and slow
			disk, nic = disk+"script="+block+",", nic+",script="+vif
		}
		m := dom0.Mini{Name: v.name, Kind: []string{"pvh", "pv"}[i%2], MiB: 16, VCPUs: 1, More: fmt.Sprintf(
			"disk = [ \"%starget=%s\" ]\nvif = [ %q ]\non_reboot = \"restart\"\non_crash = \"restart\"\n",
			disk, image(t, filepath.Join(dir, v.name+".img")), nic)}
		m.Write(t, v.cfg)
		image(t, v.spare())
		k.victims = append(k.victims, v)
	}
	return k
}

func (v *victim) spare() string { return filepath.Join(v.dir, v.name+"-spare.img") }

// slowScript makes a copy of a hotplug script that has to be run, because it is not
// the very one that we know, and returns its name.
func slowScript(t *testing.T, name string) string {
	t.Helper()
	const dir = "/etc/xen/scripts/"
	text, err := os.ReadFile(dir + name)
	if err != nil {
		t.Fatal(err)
	}
	copied := name + scriptMark
	if err := os.WriteFile(dir+copied, append(text, "\n# changed\n"...), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir + copied) })
	return copied
}

// scriptMark tells our copies of hotplug scripts.
const scriptMark = "-together"

// rage has two workers act, each on guests of its own, and waits for their last
// commands.
func (k *killer) rage(t *testing.T, limit time.Duration) {
	k.round++
	end := time.Now().Add(limit)
	var wg sync.WaitGroup
	for w := range 2 {
		rng := rand.New(rand.NewPCG(k.seed, uint64(2*k.round+w)))
		mine := []*victim{k.victims[w], k.victims[3-w]}
		wg.Go(func() {
			for time.Now().Before(end) {
				if err := k.act(t, rng, mine[rng.IntN(len(mine))]); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// act runs one command, perhaps with an accident.
func (k *killer) act(t *testing.T, rng *rand.Rand, v *victim) error {
	id := k.id(t, v)
	verb, args := v.choose(rng, id != "")
	list, ok := accidents[verb]
	if !ok {
		list = accidents[""]
	}
	what := list[rng.IntN(len(list))]
	k.mu.Lock()
	typical := k.takes[verb]
	k.mu.Unlock()
	if typical == 0 {
		typical = 2 * time.Second // until one was let be
	}
	after := time.Duration(rng.Float64() * 1.1 * float64(typical))
	a := k.begin(t, args)
	hit := false
	if what != none {
		hit = k.strike(t, a, what, v, after)
	}
	took, err := a.wait()
	if err != nil {
		return err
	}
	k.mu.Lock()
	k.commands++
	if hit || what == none {
		k.counts[verb+", "+string(what)]++
	}
	if what == none && a.code() == 0 {
		k.takes[verb] = took
	}
	k.mu.Unlock()
	if verb == "destroy" && hit { // the same again finishes it
		if r := k.try(t, k.ours, "destroy", id); r.Code != 0 && k.exists(t, id) {
			return fmt.Errorf("domain %s: destroy after a destroy with %q: exit %d\n%s", id, what, r.Code, r.Stderr)
		}
	}
	if rng.IntN(10) == 0 {
		if r := k.try(t, k.ours, "gc"); r.Code != 0 {
			return fmt.Errorf("xl gc: exit %d\n%s%s", r.Code, r.Stdout, r.Stderr)
		}
	}
	return nil
}

// choose makes up a command about the guest.
func (v *victim) choose(rng *rand.Rand, exists bool) (verb string, args []string) {
	if !exists {
		return "create", []string{"create", v.cfg}
	}
	const mac = "00:16:3e:03:00:01"
	disk, nic := v.spare()+",raw,xvdb,rw", []string{"network-attach", v.name, "bridge=xenbr0", "mac=" + mac}
	if rng.IntN(3) == 0 {
		disk, nic = disk+",script=block"+scriptMark, append(nic, "script=vif-bridge"+scriptMark)
	}
	switch rng.IntN(8) {
	case 0, 1:
		return "block-attach", []string{"block-attach", v.name, disk}
	case 2:
		return "block-detach", []string{"block-detach", v.name, "xvdb"}
	case 3:
		return "network-attach", nic
	case 4:
		return "network-detach", []string{"network-detach", v.name, mac}
	case 5:
		return "reboot", []string{"reboot", v.name}
	}
	return "destroy", []string{"destroy", v.name}
}

// clear destroys all guests by their ids, has xl gc remove what is left, and waits
// until nobody follows a guest any more.
func (k *killer) clear(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(dom0.Patience); ; time.Sleep(200 * time.Millisecond) {
		for _, id := range domainIDs(t) {
			k.ours.Run(t, dom0.Patience, "destroy", id) // somebody else may be at it, too
		}
		k.ours.Must(t, "gc") // wakes the supervisor, too, which may make guests anew
		records, err := filepath.Glob("/run/goxl/guests/*.json")
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 && len(domainIDs(t)) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("domains %v and records %v are left", domainIDs(t), records)
		}
	}
}

// proveWell takes a guest of each kind through a short life without an accident.
func (k *killer) proveWell(t *testing.T) {
	t.Helper()
	for _, v := range k.victims[:2] {
		k.ours.Must(t, "create", v.cfg)
		k.ours.Must(t, "block-attach", v.name, v.spare()+",raw,xvdb,rw")
		k.ours.Must(t, "destroy", v.name)
	}
}

func (k *killer) report(t *testing.T) {
	t.Helper()
	var lines []string
	kills := 0
	for _, what := range slices.Sorted(maps.Keys(k.counts)) {
		lines = append(lines, fmt.Sprintf("%4d %s", k.counts[what], what))
		if !strings.HasSuffix(what, string(none)) {
			kills += k.counts[what]
		}
	}
	t.Logf("%d commands, %d accidents in %d rounds:\n%s", k.commands, kills, k.round, strings.Join(lines, "\n"))
	if kills == 0 {
		t.Error("nothing was killed")
	}
}
