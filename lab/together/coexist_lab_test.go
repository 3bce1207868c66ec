package together

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// TestLabCoexist has commands of both tools work at random on the same few guests at
// the same time. A command may be refused for a reason that the others explain, and
// for no other. Whenever all stand still, both tools, xenstore and Xen tell the same;
// and when all guests are destroyed, nothing is left.
func TestLabCoexist(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	s := newStorm(t, 5)
	t.Cleanup(func() { s.story(t) })
	t.Cleanup(dom0.Leftovers(t))
	t.Cleanup(func() { s.clear(t) })
	dom0.Drivers(t)
	const pause = 30 * time.Second
	end := time.Now().Add(howLong(t, time.Minute, 5*time.Minute))
	for time.Now().Before(end) && !t.Failed() {
		s.blow(t, min(pause, time.Until(end)))
		agree(t, s.ours, s.genuine)
	}
	s.judge(t)
	s.report(t)
}

// workers is how many commands run at a time, and half of the processors' burden.
const workers = 3

// storm is two toolstacks at work on a few guests.
type storm struct {
	ours, genuine dom0.Tool
	slots         []*slot
	seed          uint64
	round         int
	mu            sync.Mutex
	done          []*deed
}

// slot is what one guest is made from. There may be two guests of it, when the first
// was renamed.
type slot struct {
	name, other string // of the guest; to rename it to, and back
	cfg, dir    string
	// theirs is held by each command of the genuine tool, and alone by what destroys
	// the guest: the genuine tool writes to guests that are gone (see
	// docs/coexistence.md). Our commands hold nothing: they have to take it.
	theirs sync.RWMutex
	// plugging is held by each attach of the genuine tool, and alone by what detaches:
	// its hotplug scripts write to devices that are gone.
	plugging sync.RWMutex
}

// deed is one command and how it ended.
type deed struct {
	slot       *slot
	verb       string
	tool       string
	line       string
	begin, end time.Time
	result     dom0.Result
	err        error // it could not be started, or did not end
}

func newStorm(t *testing.T, guests int) *storm {
	t.Helper()
	s := &storm{seed: seed(t)}
	s.ours, s.genuine = dom0.Toolstacks(t)
	dir := plainDir(t)
	for i := range guests {
		name := fmt.Sprintf("storm%d", i)
		at := &slot{name: name, other: name + "-b", cfg: filepath.Join(dir, name+".cfg"), dir: dir}
		m := dom0.Mini{Name: name, Kind: []string{"pvh", "pv"}[i%2], MiB: 16, VCPUs: 1}
		if i > 1 { // the genuine tool's scripts take most of the time of a run
			m.More += fmt.Sprintf("disk = [ \"%s,raw,xvda,rw\" ]\n", image(t, filepath.Join(dir, name+".img")))
		}
		if i > 3 {
			m.More += "vif = [ \"bridge=xenbr0\" ]\n"
		}
		m.Write(t, at.cfg)
		for _, dev := range spareDisks {
			image(t, at.spare(dev))
		}
		s.slots = append(s.slots, at)
	}
	return s
}

// howLong is the time that a test at random takes: that of a cover or of the whole
// matrix, or GOXL_FOR, a duration such as "8m".
func howLong(t *testing.T, cover, whole time.Duration) time.Duration {
	t.Helper()
	text := os.Getenv("GOXL_FOR")
	switch {
	case text != "":
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	case dom0.Full():
		return whole
	}
	return cover
}

// seed is what the choices of a run follow from. GOXL_SEED repeats them, if not the
// moments at which they meet.
func seed(t *testing.T) uint64 {
	t.Helper()
	n := rand.Uint64()
	if text := os.Getenv("GOXL_SEED"); text != "" {
		var err error
		if n, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("GOXL_SEED=%d", n)
	return n
}

// spareDisks are attached and detached, spareNICs likewise: by address.
var (
	spareDisks = []string{"xvdb", "xvdc"}
	spareNICs  = []string{"00:16:3e:02:00:01", "00:16:3e:02:00:02"}
)

func (s *slot) spare(dev string) string { return filepath.Join(s.dir, s.name+"-"+dev+".img") }

// blow has the workers act for a while and waits for their last commands.
func (s *storm) blow(t *testing.T, limit time.Duration) {
	s.round++
	end := time.Now().Add(limit)
	var wg sync.WaitGroup
	for w := range workers {
		rng := rand.New(rand.NewPCG(s.seed, uint64(s.round*workers+w)))
		wg.Go(func() {
			for time.Now().Before(end) {
				s.act(t.Context(), rng)
			}
		})
	}
	wg.Wait()
}

// act runs one command.
func (s *storm) act(ctx context.Context, rng *rand.Rand) {
	at := s.slots[rng.IntN(len(s.slots))]
	tool := s.ours
	if rng.IntN(2) == 0 {
		tool = s.genuine
	}
	verb, args := at.choose(rng)
	switch {
	case verb == "destroy":
		at.theirs.Lock()
		defer at.theirs.Unlock()
		if rng.IntN(4) == 0 { // both tools at the same time
			var wg sync.WaitGroup
			wg.Go(func() { s.do(ctx, at, s.ours, verb, args) })
			wg.Go(func() { s.do(ctx, at, s.genuine, verb, args) })
			wg.Wait()
			return
		}
	case tool == s.genuine:
		at.theirs.RLock()
		defer at.theirs.RUnlock()
	}
	switch {
	case strings.HasSuffix(verb, "-detach"):
		at.plugging.Lock()
		defer at.plugging.Unlock()
	case strings.HasSuffix(verb, "-attach") && tool == s.genuine:
		at.plugging.RLock()
		defer at.plugging.RUnlock()
	}
	s.do(ctx, at, tool, verb, args)
}

func (s *storm) do(ctx context.Context, at *slot, tool dom0.Tool, verb string, args []string) {
	d := &deed{slot: at, verb: verb, tool: tool.Name, line: tool.Line(args), begin: time.Now()}
	d.result, d.err = tool.Try(ctx, dom0.Patience, args...)
	d.end = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, d)
}

// choose makes up a command about the slot's guest.
func (s *slot) choose(rng *rand.Rand) (verb string, args []string) {
	name := s.name
	if rng.IntN(5) == 0 {
		name = s.other
	}
	disk, nic := spareDisks[rng.IntN(len(spareDisks))], spareNICs[rng.IntN(len(spareNICs))]
	switch n := rng.IntN(20); {
	case n < 4 && rng.IntN(2) == 0:
		return "create", []string{"create", "-p", s.cfg}
	case n < 4:
		return "create", []string{"create", s.cfg}
	case n < 6:
		return "destroy", []string{"destroy", name}
	case n < 9:
		return "block-attach", []string{"block-attach", name, s.spare(disk) + ",raw," + disk + ",rw"}
	case n < 11:
		return "block-detach", []string{"block-detach", name, disk}
	case n < 13:
		return "network-attach", []string{"network-attach", name, "bridge=xenbr0", "mac=" + nic}
	case n < 15:
		return "network-detach", []string{"network-detach", name, nic}
	case n < 16 && name == s.name:
		return "rename", []string{"rename", s.name, s.other}
	case n < 16:
		return "rename", []string{"rename", s.other, s.name}
	case n < 18:
		return "mem-set", []string{"mem-set", name, strconv.Itoa(12 + rng.IntN(5))}
	}
	return "list", []string{"list", "-l"}
}

// clear destroys every guest of the storm, by either tool.
func (s *storm) clear(t *testing.T) {
	for i, id := range domainIDs(t) {
		[]dom0.Tool{s.ours, s.genuine}[i%2].Run(t, dom0.Patience, "destroy", id)
	}
}
