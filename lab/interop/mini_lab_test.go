package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"goxl/lab/dom0"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

// newMini writes the configuration of a mini guest (see package lab/mini). Nothing
// runs yet.
func newMini(t *testing.T, kind string, mib, vcpus int, options, more string) *guest {
	t.Helper()
	return namedMini(t, "mini-"+kind, kind, mib, vcpus, options, more)
}

func namedMini(t *testing.T, name, kind string, mib, vcpus int, options, more string) *guest {
	t.Helper()
	g := &guest{name: name, kind: kind, cfg: filepath.Join(t.TempDir(), name+".cfg")}
	m := dom0.Mini{Name: name, Kind: kind, MiB: mib, VCPUs: vcpus, Options: options, More: more}
	m.Write(t, g.cfg)
	return g
}

// talk is a conversation on a guest's console.
type talk struct {
	tty  *os.File
	said string // and not yet expected
}

// talkTo opens the console of the domain that the guest is now.
func talkTo(t *testing.T, g *guest, x dom0.Tool) *talk {
	t.Helper()
	tty := strings.TrimSpace(dom0.Sh(t, "xenstore-read /local/domain/"+g.id(t, x)+"/console/tty"))
	f, err := os.OpenFile(tty, os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &talk{tty: f}
}

func (c *talk) say(t *testing.T, line string) {
	t.Helper()
	if _, err := c.tty.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

// expect reads until the guest has said what the pattern matches, and returns that.
func (c *talk) expect(t *testing.T, pattern string) []string {
	t.Helper()
	const limit = 3 * time.Minute // emulated, beside other labs
	want, buf := regexp.MustCompile(pattern), make([]byte, 4096)
	if err := c.tty.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	for {
		if at := want.FindStringSubmatchIndex(c.said); at != nil {
			found := want.FindStringSubmatch(c.said)
			c.said = c.said[at[1]:]
			return found
		}
		n, err := c.tty.Read(buf)
		c.said += string(buf[:n])
		if err != nil {
			t.Fatalf("no %q from the guest within %s: %v; it said:\n%s", pattern, limit, err, c.said)
		}
	}
}

// start makes the guest and returns its console when it is up. It logs how long
// that took from the moment when it could run.
func (g *guest) start(t *testing.T, maker dom0.Tool) *talk {
	t.Helper()
	maker.Must(t, "create", "-p", g.cfg)
	c := talkTo(t, g, maker)
	begin := time.Now()
	maker.Must(t, "unpause", g.name)
	c.expect(t, "goxl-guest ready: mini "+g.kind)
	took := time.Since(begin)
	t.Logf("%s made by %s: ready %d ms after unpause began, with %d ms of processor time",
		g.kind, maker.Name, took.Milliseconds(), domainInfo(t, g.id(t, maker)).CPUTime.Milliseconds())
	return c
}

// TestLabMini takes the mini guest through its life, made by either tool.
func TestLabMini(t *testing.T) {
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	makers := []dom0.Tool{ours}
	if dom0.Full() || os.Getenv("GOXL_XEN") == "4.17" {
		makers = append(makers, genuine)
	}
	for _, kind := range []string{"pvh", "pv"} {
		for _, maker := range makers {
			t.Run(kind+"/made by "+maker.Name, func(t *testing.T) {
				defer dom0.Leftovers(t)()
				g := newMini(t, kind, 16, 1, "mini.tick=50", "")
				t.Cleanup(func() { g.clear(t, genuine) })
				c := g.start(t, maker)
				c.say(t, "check")
				c.expect(t, `pattern: ok, \d+ pages`)
				genuine.Must(t, "sysrq", g.name, "h")
				c.expect(t, "sysrq: h")
				idle(t, c, g.id(t, genuine))
				balloon(t, c, g, genuine)
				c = suspends(t, c, g, genuine)
				old := g.id(t, genuine)
				genuine.Must(t, "reboot", g.name)
				eventually(t, dom0.Patience, "the guest to come back", func() bool {
					id := g.id(t, genuine)
					return id != "" && id != old
				})
				talkTo(t, g, genuine).expect(t, "goxl-guest ready")
				genuine.Must(t, "shutdown", "-w", g.name)
				g.waitGone(t, genuine)
			})
		}
	}
}

// idle checks that a guest that waits costs next to no processor time: it rewrites
// four pages and counts 20 ticks a second.
func idle(t *testing.T, c *talk, id string) {
	t.Helper()
	before := domainInfo(t, id).CPUTime
	time.Sleep(4 * time.Second)
	used := domainInfo(t, id).CPUTime - before
	t.Logf("it used %s in 4 s", used.Round(time.Millisecond))
	if used > time.Second {
		t.Errorf("the waiting guest used %s of 4 s", used)
	}
	c.say(t, "stats")
	if n := number(t, c.expect(t, `stats: .* (\d+) ticks`)[1]); n < 40 {
		t.Errorf("%d ticks of 50 ms in 4 s and more", n)
	}
}

func domainInfo(t *testing.T, id string) *xenctrl.DomainInfo {
	t.Helper()
	h, err := xenctrl.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	info, err := h.DomainInfo(xenctrl.DomID(number(t, id)))
	if err != nil {
		t.Fatal(err)
	}
	return &info
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func balloon(t *testing.T, c *talk, g *guest, x dom0.Tool) {
	t.Helper()
	for _, mib := range []int{10, 16} {
		x.Must(t, "mem-set", g.name, strconv.Itoa(mib))
		c.expect(t, fmt.Sprintf(`balloon: %d KiB`, mib<<10))
		c.say(t, "check")
		c.expect(t, `pattern: ok, \d+ pages`)
	}
}

// suspends has the genuine tool save the guest twice, once to go on in place, and
// returns its console after the restore.
func suspends(t *testing.T, c *talk, g *guest, genuine dom0.Tool) *talk {
	t.Helper()
	file := filepath.Join(t.TempDir(), "saved")
	genuine.Must(t, "save", "-c", g.name, file)
	c.expect(t, inPlace())
	c.expect(t, `longest gap \d+ ms`)
	c.expect(t, `pattern: ok, \d+ pages`)
	c.say(t, "gap") // the ring still works in both directions, and so does the timer
	c.expect(t, `longest gap \d+ ms`)
	genuine.Must(t, "save", g.name, file)
	g.waitGone(t, genuine)
	genuine.Must(t, "restore", file)
	c = talkTo(t, g, genuine)
	c.expect(t, "goxl-guest resumed\r")
	gap := c.expect(t, `longest gap (\d+) ms`)[1]
	c.expect(t, `pattern: ok, \d+ pages`)
	t.Logf("%s: longest gap over save and restore %s ms", g.kind, gap)
	balloon(t, c, g, genuine)
	return c
}

// inPlace is what a guest says that the genuine tool lets go on where it is. That
// of 4.14 has its suspend return 0, which a guest takes for a restore (seen; why,
// not); ours returns 1 there as well, see TestLabCheckpoint.
func inPlace() string {
	if os.Getenv("GOXL_XEN") == "4.14" {
		return `goxl-guest resumed( in place)?\r`
	}
	return "goxl-guest resumed in place"
}

// TestLabMiniExits has the guest end by itself in every way, and Xen say how.
func TestLabMiniExits(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	var keep strings.Builder
	for _, end := range []string{"poweroff", "reboot", "crash", "watchdog", "soft_reset"} {
		fmt.Fprintf(&keep, "on_%s = \"preserve\"\n", end)
	}
	for _, kind := range []string{"pvh", "pv"} {
		for how, reason := range map[string]abi.ShutdownReason{
			"poweroff": abi.ShutdownPoweroff, "halt": abi.ShutdownPoweroff, "reboot": abi.ShutdownReboot,
			"crash": abi.ShutdownCrash, "watchdog": abi.ShutdownWatchdog, "soft-reset": abi.ShutdownSoftReset,
		} {
			t.Run(kind+"/"+how, func(t *testing.T) {
				g := newMini(t, kind, 16, 1, "mini.exit="+how+" mini.after=200", keep.String())
				t.Cleanup(func() { g.clear(t, genuine) })
				ours.Must(t, "create", g.cfg)
				id := g.id(t, ours)
				eventually(t, dom0.Patience, how, func() bool { return domainInfo(t, id).Shutdown() })
				if got := domainInfo(t, id).ShutdownReason(); got != reason {
					t.Errorf("Xen says %s, want %s", got, reason)
				}
			})
		}
	}
}

// TestLabMiniLarge checks a guest of several hundred MiB and two vcpus, and that a
// flood of text comes out whole.
func TestLabMiniLarge(t *testing.T) {
	dom0.InCoverOn(t, "4.17")
	xentest.NeedXen(t)
	ours, genuine := dom0.Toolstacks(t)
	for _, kind := range []string{"pvh", "pv"} {
		t.Run(kind, func(t *testing.T) {
			g := newMini(t, kind, 400, 2, "", "")
			t.Cleanup(func() { g.clear(t, genuine) })
			c := g.start(t, ours)
			c.expect(t, "2 vcpus, 409600 KiB")
			begin := time.Now()
			c.say(t, "check")
			c.expect(t, `pattern: ok, \d+ pages`)
			t.Logf("%s: 400 MiB checked in %d ms", kind, time.Since(begin).Milliseconds())
			const lines = 400 // more than ring and backlog hold
			go func() {
				for range lines {
					c.tty.WriteString("stats\n")
				}
			}()
			for range lines {
				c.expect(t, `stats: uptime \d+ ms,.* rewritten\r\n`)
			}
			genuine.Must(t, "shutdown", "-w", g.name)
		})
	}
}
