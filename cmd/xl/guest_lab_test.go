package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goxl/xenctrl/xentest"
)

// labGuest is a paused guest that maker, ours or the genuine xl, made: with two
// vcpus, a disk and a network interface.
func labGuest(t *testing.T, maker, kind string, env ...string) (name string) {
	t.Helper()
	from := os.Getenv("GOXL_GUEST")
	if from == "" {
		from = "/opt/guest"
	}
	dir := t.TempDir()
	name = "xlcmd-" + kind
	cfg, disk := filepath.Join(dir, "guest.cfg"), filepath.Join(dir, "disk.img")
	if err := os.WriteFile(disk, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("name=%q\ntype=%q\nkernel=\"%s/vmlinuz\"\nramdisk=\"%s/initrd.img\"\nextra=\"console=hvc0 xlcmd\"\nmemory=128\n"+
		"vcpus=2\ncpus=\"0-1\"\ndisk=[\"%s,raw,xvda,rw\"]\nvif=[\"bridge=xenbr0,mac=00:16:3e:12:34:56\"]\n", name, kind, from, from, disk)
	if err := os.WriteFile(cfg, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	execXL(t, maker, env, "destroy", name) // of a run that was cut off
	if r := execXL(t, maker, env, "create", "-p", "-e", "-q", cfg); r.status != 0 {
		t.Fatalf("create: %d %s", r.status, r.err)
	}
	t.Cleanup(func() { execXL(t, maker, env, "destroy", name) })
	return name
}

// TestLabGuest drives a guest of each kind, the first made by ours, the second by
// the genuine xl: what both say about it is the same before and after each change
// that ours makes.
func TestLabGuest(t *testing.T) {
	xentest.NeedXen(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	genuine := genuineXL(t)
	blockDetach := "block-detach -f G xvda"
	if sysfsRelease() < 15 { // where force is what happens after a while
		blockDetach = "block-detach G xvda"
	}
	for _, kind := range []string{"pvh", "pv"} {
		t.Run(kind, func(t *testing.T) {
			var name string
			if kind == "pvh" {
				name = labGuest(t, self, kind, asXL)
			} else {
				name = labGuest(t, genuine, kind)
			}
			compare := func(lines ...string) {
				for _, line := range lines {
					line = strings.ReplaceAll(line, "G", name)
					t.Run(strings.ReplaceAll(line, " ", "_"), func(t *testing.T) { sameAsGenuine(t, self, genuine, line) })
				}
			}
			// ours runs one command, which prints nothing and succeeds.
			ours := func(line string) {
				args := strings.Fields(strings.ReplaceAll(line, "G", name))
				if r := execXL(t, self, []string{asXL}, args...); r != (result{}) {
					t.Errorf("xl %s: %+v", strings.Join(args, " "), r)
				}
			}
			for i, line := range []string{"list G", "list -l G", "list -v G", "vcpu-list G", "vm-list", "domid G", "uptime G", "sharing G",
				"block-list G", "network-list G", "channel-list G", "sched-credit2 -d G", "list -c", "list -n G",
				"-N vcpu-pin G all 0", "-N vcpu-pin G 1 all 0-1", "-N vcpu-pin G 0 - 1", "-N vcpu-pin G 0 ^0",
				"-N network-attach G mac=00:16:3e:00:00:01 rate=1MB/s", "-N network-attach G nothing=1",
				"-N block-attach G phy:/dev/loop7,xvdb,w", "-N block-attach G file=/x", "block-detach G xvdz", "network-detach G 7",
				"network-detach G 00:00:00:00:00:01", "rename G Domain-0", "mem-set G 4g", "mem-max G 1m", "vcpu-set G 99",
				"sched-credit2 -d G -w 0", "sched-credit2 -d G -c 999", "sched-credit -d G -w 7", "trigger G nothing", "sysrq G xx"} {
				if xentest.OneIn(3, i) {
					compare(line)
				}
			}
			for _, change := range []struct{ do, then string }{
				{"rename G G-new", "list G-new"}, {"rename G-new G", "list -l G"},
				{"mem-max G 200", "list -l G"}, {"mem-set G 100", "list -l G"},
				{"vcpu-set G 1", "list -l G"}, {"vcpu-pin G all 1 0", "vcpu-list G"}, {"vcpu-pin -f G 0 0", "vcpu-list G"},
				{"sched-credit2 -d G -w 300 -c 50", "sched-credit2 -d G"}, {"unpause G", "vcpu-list G"}, {"pause G", "list G"},
				{"network-attach G mac=00:16:3e:65:43:21", "network-list G"}, {"network-detach G 1", "network-list G"},
				{blockDetach, "block-list G"}, {"sysrq G h", "list G"}, {"trigger G nmi", "list G"},
			} {
				ours(change.do)
				compare(change.then)
			}
			ours("destroy G")
			compare("list G", "destroy G", "domid G")
		})
	}
}
