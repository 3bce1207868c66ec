package hostile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"goxl/blkback"
	"goxl/domains/host"
	"goxl/lab/dom0"
	"goxl/lab/hostile"
	"goxl/xenctrl/xentest"
)

// What the daemons may grow to under attack, all in all: the data that a queue may
// have under way is 16 MiB.
const (
	mostMemory = 128 << 10 // KiB
	mostLines  = 40        // of the log, a minute
)

// sample is what is done unless all is asked for (xenlab test --full, make matrix): some
// of each kind, without those for which a device is connected again and again, where
// each step waits for xenstore.
const sample = "console/nodes,console/storm,console/output-far-ahead,console/input-read-ahead," +
	"net/bad-packets,net/bad-grants,net/revoke,net/receive-revoked,net/across-the-page,net/index-one-too-many," +
	"disk/bad-requests,disk/bad-grants,disk/bad-indirect,disk/write-read-only,disk/read-only-page,disk/garbage," +
	"disk/hammer,disk/greed,disk/index-far-ahead,disk/read-into-the-ring"

// field is a host with both guests.
type field struct {
	*testing.T
	dir           string
	ours, genuine dom0.Tool
	daemons       []*daemon
	only          string // the names of the misdeeds to be done; all of them unless told
	good          *dom0.Witness
	bad           <-chan string // lines of the hostile guest's console
	badID         string
	longest       time.Duration  // between two rounds of the other guest's, under attack
	closed        map[string]int // connections by part, disk or net, that the guest saw closed
}

// TestLabHostileGuest has a guest break all rules of disk, network and console, and
// looks at what that costs the daemons and another guest.
func TestLabHostileGuest(t *testing.T) {
	xentest.NeedXen(t)
	dom0.Sh(t, "modprobe -r xen-netback; modprobe tun")
	t.Cleanup(func() {
		if out, err := exec.Command("modprobe", "xen-netback").CombinedOutput(); err != nil {
			t.Errorf("modprobe xen-netback: %v %s", err, out)
		}
	})
	f := &field{T: t, only: only(t), closed: map[string]int{}}
	f.ours, f.genuine = dom0.Toolstacks(t)
	var err error
	if f.dir, err = os.MkdirTemp("", "hostile-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(f.dir) })
	nothingLeft := dom0.Leftovers(t)
	dom0.TakeConsoles(t)
	f.startDaemons()
	readOnly := f.createGuests()
	f.good.Await(1)
	broadcast(t, f.badID)
	for _, d := range f.daemons {
		d.fds = d.files()
	}

	began := time.Now()
	dom0.Sh(t, "xenstore-write /local/domain/"+f.badID+"/"+hostile.GoNode+" 1")
	before := f.good.Rounds
	f.watchMisdeeds()
	took := time.Since(began)
	f.good.Await(1)
	t.Logf("%d rounds of the other guest in %s, the longest took %s", f.good.Rounds-before, took.Round(time.Second), f.longest.Round(time.Millisecond))

	f.checkDaemons(took)
	f.checkStats()
	if b, err := os.ReadFile(readOnly); err != nil || !bytes.Equal(b, hostile.Pattern(sectors)) {
		t.Errorf("the read-only disk is not as it was: %v", err)
	}
	f.genuine.Must(t, "destroy", "hostile")
	f.good.Await(2)
	for _, d := range f.daemons {
		eventually(t, d.name+" to let go of what it held of the guest", func() bool { return d.files() <= d.fds })
	}
	f.checkLogs()
	f.genuine.Must(t, "destroy", "good")
	nothingLeft()
	eventually(t, "the journals to go", func() bool {
		left, _ := filepath.Glob("/run/goxl/blkback/*.journal")
		more, _ := filepath.Glob("/run/goxl/netback/*-*")
		return len(left)+len(more) == 0
	})
	for _, d := range f.daemons {
		d.stop()
	}
	dom0.Sh(t, "qemu-img check -q "+f.dir+"/rw.qcow2")
}

// only is what is done here, as the program's variable has it.
func only(t *testing.T) string {
	t.Helper()
	which := sample
	if dom0.Full() {
		which = ""
	}
	if dom0.Getenv(t, "GOXL_XEN") != "4.14" {
		return which
	}
	// Debian 11's kernel ends itself when its console's indices are wrong.
	names := slices.DeleteFunc(hostile.Names(which), func(n string) bool {
		return strings.HasPrefix(n, "console/output-") || strings.HasPrefix(n, "console/input-")
	})
	return strings.Join(names, ",")
}

func (f *field) startDaemons() {
	f.Helper()
	f.daemons = []*daemon{
		startDaemon(f.T, f.dir, "consoled", "-i", "--log=guest", "--log-dir="+f.dir, "--keep-output="+f.dir+"/tails"),
		startDaemon(f.T, f.dir, "netback"),
		startDaemon(f.T, f.dir, "blkback"),
	}
	h := host.New(host.DefaultPaths())
	eventually(f.T, "blkback to serve", func() bool {
		formats, err := h.BlkbackFormats()
		if err != nil {
			f.Fatal(err)
		}
		return formats != nil
	})
}

// createGuests makes both guests, and returns the image of the hostile one's disk that
// it may only read.
func (f *field) createGuests() (readOnly string) {
	f.Helper()
	write := func(name string, b []byte) string {
		path := filepath.Join(f.dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			f.Fatal(err)
		}
		return path
	}
	readOnly = write("ro.img", hostile.Pattern(sectors))
	dom0.Sh(f.T, fmt.Sprintf("cd %s && qemu-img convert -f raw -O qcow2 ro.img rw.qcow2", f.dir))
	cfg := write("hostile.cfg", fmt.Appendf(nil, "name=\"hostile\"\ntype=\"pvh\"\nkernel=%q\nramdisk=%q\nmemory=224\nvcpus=1\n"+
		"extra=\"console=hvc0 quiet goxl.quiet goxl.run=/hostile.sh %s=%s\"\nvif=[\"bridge=xenbr0\"]\n"+
		"disk=[\"%s/rw.qcow2,qcow2,xvda,rw\", \"backendtype=qdisk,format=raw,vdev=xvdb,access=ro,target=%s\"]\n",
		dom0.Getenv(f.T, "GOXL_GUEST")+"/vmlinuz", initramfs(f.T, f.dir), hostile.Only, f.only, f.dir, readOnly))
	f.Cleanup(func() { f.genuine.Run(f.T, dom0.Patience, "destroy", "hostile") })
	f.ours.Must(f.T, "create", "-q", cfg)
	f.badID = strings.TrimSpace(f.genuine.Must(f.T, "domid", "hostile"))
	f.bad = dom0.ConsoleLines(f.T, f.badID)
	f.good = dom0.NewWitness(f.T, f.dir, "good", "10.77.0.77", time.Second)
	return readOnly
}

// watchMisdeeds waits until the hostile guest has done its worst.
func (f *field) watchMisdeeds() {
	f.Helper()
	timeout := time.After(4 * dom0.Patience)
	done := map[string]bool{}
	for last := time.Now(); ; {
		select {
		case s := <-f.good.Lines:
			rounds := f.good.Rounds
			if f.good.Note(s); f.good.Rounds > rounds {
				f.longest, last = max(f.longest, time.Since(last)), time.Now()
			}
		case s, ok := <-f.bad:
			if !ok {
				f.Fatal("the hostile guest's console ended")
			}
			if strings.Contains(s, "flood") && !strings.Contains(s, "hostile: ") {
				continue
			}
			f.Log(s)
			if strings.Contains(s, "BAD") {
				f.Errorf("the hostile guest says %q", s)
			}
			if name, _, ok := strings.Cut(strings.TrimPrefix(s, "hostile: "), ": ok "); ok && strings.HasPrefix(s, "hostile: ") {
				done[name] = true
				part, _, _ := strings.Cut(name, "/")
				f.closed[part] += closedIn(s)
			}
			if strings.HasPrefix(s, "hostile: done, ") {
				for _, name := range hostile.Names(f.only) {
					if !done[name] {
						f.Errorf("no word of %s", name)
					}
				}
				return
			}
		case <-timeout:
			f.Fatal("the hostile guest does not come to its end")
		}
	}
}

// closedIn is how many connections were closed because of a misdeed, by its line.
func closedIn(s string) (n int) {
	if strings.Contains(s, ": ok closed: ") {
		return 1
	}
	if _, v, ok := strings.Cut(s, ": ok "); ok {
		if v, _, ok = strings.Cut(v, " connections refused"); ok {
			n, _ = strconv.Atoi(v)
		}
	}
	return n
}

// checkDaemons holds that all live, in bounded memory, and have logged in reason.
func (f *field) checkDaemons(took time.Duration) {
	f.Helper()
	for _, d := range f.daemons {
		now, peak, lines := d.memory("VmRSS"), d.memory("VmHWM"), d.lines()
		f.Logf("%s: %d KiB, at most %d, %d files of %d before, %d lines of log", d.name, now, peak, d.files(), d.fds, len(lines))
		if peak > mostMemory {
			f.Errorf("%s grew to %d KiB, want %d at most", d.name, peak, mostMemory)
		}
		if most := mostLines * (1 + int(took/time.Minute)); len(lines) > most {
			f.Errorf("%s logged %d lines in %s, want %d at most", d.name, len(lines), took.Round(time.Second), most)
		}
		if f.mustComplain(d) && !strings.Contains(strings.Join(lines, "\n"), `"dom": `+f.badID) {
			f.Errorf("%s has not a word about domain %s in its log", d.name, f.badID)
		}
	}
}

// mustComplain reports whether a daemon has something to tell of: of what is done to
// consoles, that is wrong indices only.
func (f *field) mustComplain(d *daemon) bool {
	return d.name != "consoled" || f.only == "" || strings.Contains(f.only, "console/output-")
}

// checkLogs holds that each connection that was closed is told of or counted, and that
// what the hostile guest printed is in no other guest's log.
func (f *field) checkLogs() {
	f.Helper()
	for _, d := range f.daemons {
		part := map[string]string{"netback": "net", "blkback": "disk"}[d.name]
		want := f.closed[part]
		if f.mustComplain(d) {
			want = max(want, 1)
		}
		told, counted := 0, 0
		for end := time.Now().Add(time.Minute); counted < want && time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			told, counted = d.complaints(f.badID) // the last of them when the device is given up
		}
		f.Logf("%s complains of domain %s in %d lines, which count %d times; the guest saw %d connections closed", d.name, f.badID, told, counted, f.closed[part])
		if counted < want {
			f.Errorf("%s has lost count of what it complains of", d.name)
		}
	}
	b, err := os.ReadFile(f.dir + "/guest-good.log")
	if err != nil || !bytes.Contains(b, []byte("round 1 over")) || bytes.Contains(b, []byte("hostile")) || bytes.Contains(b, []byte("flood")) {
		f.Errorf("the log of the other guest's console is not what that guest printed: %v, %.2000q", err, b)
	}
}

// checkStats holds that what was refused was counted, and is not the host's fault.
func (f *field) checkStats() {
	f.Helper()
	out := dom0.Sh(f.T, filepath.Join(dom0.Getenv(f.T, "GOXL_BIN"), "blkback")+" --stats")
	var all []blkback.Stats
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		f.Fatal(err)
	}
	refused := uint64(0)
	for _, s := range all {
		if fmt.Sprint(s.Dom) == f.badID {
			refused += s.Refused
		} else if s.Refused != 0 {
			f.Errorf("%d requests of domain %d were refused", s.Refused, s.Dom)
		}
		if s.Errors != 0 || s.InFlight != 0 {
			f.Errorf("domain %d, disk %d: %d errors of the host, %d requests under way", s.Dom, s.Dev, s.Errors, s.InFlight)
		}
	}
	if refused < 1000 {
		f.Errorf("%d requests of the hostile guest counted as refused, want thousands:\n%s", refused, out)
	}
}
