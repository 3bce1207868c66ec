package doctor_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goxl/domains"
	"goxl/domains/doctor"
	"goxl/domains/host"
	"goxl/domains/host/hosttest"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
	"goxl/xenstore"
	"goxl/xenstore/server"
)

// clinic is a host in memory that has all it needs.
type clinic struct {
	*testing.T
	xen   *xentest.Machine
	kern  *hosttest.Kernel
	store *xenstore.Client
	m     *domains.Manager
	dir   string
}

const guest = 7

func newClinic(t *testing.T, minor int) *clinic {
	t.Helper()
	srv := server.New(server.Options{})
	v, _ := abi.Release(4, minor)
	c := &clinic{T: t, xen: xentest.New(t, xentest.Config{Version: v}), dir: t.TempDir()}
	var err error
	if c.store, err = xenstore.Dial(t.Context(), xenstore.WithDialer(func(context.Context) (net.Conn, error) { return srv.Pipe(0), nil })); err != nil {
		t.Fatal(err)
	}
	h := host.New(host.Paths{Run: c.in("run"), Lib: c.in("lib"), Log: c.in("log"), Scripts: c.in("scripts"), Hotplug: c.in("hotplug"),
		XLLock: c.in("xl"), Proc: c.in("proc"), Sys: c.in("sys"), Dev: c.in("dev")})
	c.kern = hosttest.New(h.Kernel)
	h.Kernel = c.kern
	h.Trust(c.in("scripts/block"), host.Behaviour{Block: true})
	h.Trust(c.in("scripts/vif-bridge"), host.Behaviour{Bridge: true})
	for _, dir := range []string{"run", "lib", "log", "proc/42", "proc/43", "sys/class/net/xenbr0", "sys/bus/xen-backend/drivers/vif", "dev/xen", "own"} {
		if err := os.MkdirAll(c.in(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"dev/xen/privcmd", "dev/xen/hypercall", "dev/xen/evtchn", "dev/xen/gntdev", "dev/loop-control", "proc/mounts"} {
		c.file(f, "")
	}
	c.file("proc/42/comm", "xenconsoled\n")
	c.file("proc/43/comm", "xenstored\n")
	c.write("/local/domain/0/name", "Domain-0")
	c.m, err = domains.Open(t.Context(), domains.Options{Xen: c.xen.Handle(), Store: c.store, Host: h,
		Paths: domains.Paths{Own: c.in("own"), KernelCache: "off"}})
	if err != nil {
		t.Fatal(err)
	}
	c.addGuest(guest, "web")
	t.Cleanup(func() {
		c.m.Close()
		c.store.Close()
		srv.Close()
	})
	return c
}

func (c *clinic) in(name string) string { return filepath.Join(c.dir, name) }

func (c *clinic) file(name, content string) {
	if err := os.WriteFile(c.in(name), []byte(content), 0o600); err != nil {
		c.Fatal(err)
	}
}

func (c *clinic) remove(name string) {
	if err := os.RemoveAll(c.in(name)); err != nil {
		c.Fatal(err)
	}
}

func (c *clinic) write(path, value string) {
	if err := c.store.Write(c.Context(), path, value); err != nil {
		c.Fatal(err)
	}
}

func (c *clinic) rm(path string) {
	if err := c.store.Rm(c.Context(), path); err != nil {
		c.Fatal(err)
	}
}

func (c *clinic) addGuest(id abi.DomID, name string) {
	c.xen.AddDomain(id)
	c.write(fmt.Sprintf("/local/domain/%d/name", id), name)
	c.write(fmt.Sprintf("/vm/%s/name", c.uuid(id)), name)
}

func (c *clinic) uuid(id abi.DomID) abi.UUID {
	info, err := c.xen.Handle().DomainInfo(id)
	if err != nil {
		c.Fatal(err)
	}
	return info.Handle
}

func (c *clinic) examine() []doctor.Finding {
	return doctor.Examine(c.Context(), c.m, doctor.Options{Patience: 10 * time.Millisecond})
}

// worse are the findings that are not fine, as text.
func worse(list []doctor.Finding) []string {
	var all []string
	for _, f := range list {
		if f.Level != doctor.Fine {
			all = append(all, fmt.Sprintf("%v %s: %s -> %s", f.Level, f.About, f.Text, f.Advice))
		}
	}
	return all
}

func TestNothingIsWrong(t *testing.T) {
	list := newClinic(t, 17).examine()
	if bad := worse(list); len(bad) > 0 {
		t.Errorf("found on a host that has all:\n%s", strings.Join(bad, "\n"))
	}
	if len(list) < 14 {
		t.Errorf("only %d things were looked at", len(list))
	}
}

// TestConsoleDomain: who serves consoles may be another domain.
func TestConsoleDomain(t *testing.T) {
	c := newClinic(t, 17)
	c.remove("proc/42")
	c.write("/tool/xenconsoled/domid", "5")
	if bad := worse(c.examine()); len(bad) > 0 {
		t.Errorf("found:\n%s", strings.Join(bad, "\n"))
	}
}

// TestOwnNetworkBackend: the kernel's may be kept out for ours.
func TestOwnNetworkBackend(t *testing.T) {
	c := newClinic(t, 17)
	c.remove("sys/bus/xen-backend/drivers/vif")
	c.file("proc/43/comm", "netback\n")
	if bad := worse(c.examine()); len(bad) > 0 {
		t.Errorf("found:\n%s", strings.Join(bad, "\n"))
	}
}

// TestFindings breaks one thing after the other; each has to be the only finding.
func TestFindings(t *testing.T) {
	for _, tt := range []struct {
		name  string
		spoil func(c *clinic)
		want  string // the beginning of the one finding
	}{
		{"no name of domain 0", func(c *clinic) { c.rm("/local/domain/0/name") }, "PROBLEM domain 0: xenstore has no name"},
		{"no privcmd", func(c *clinic) { c.remove("dev/xen/privcmd") }, "PROBLEM kernel devices: there is no /dev/xen/privcmd"},
		{"an old kernel", func(c *clinic) { c.remove("dev/xen/hypercall") }, "note kernel devices: there is no /dev/xen/hypercall"},
		{"no console daemon", func(c *clinic) { c.remove("proc/42") }, "PROBLEM console daemon: neither xenconsoled nor goxl's consoled runs"},
		{"two console daemons", func(c *clinic) { c.file("proc/43/comm", "consoled\n") },
			"PROBLEM console daemon: there are several: process 42 (xenconsoled), process 43 (consoled)"},
		{"no network backend", func(c *clinic) { c.remove("sys/bus/xen-backend/drivers/vif") },
			"note network backend: neither xen-netback nor goxl's netback"},
		{"two network backends", func(c *clinic) { c.file("proc/43/comm", "netback\n") },
			"PROBLEM network backend: both xen-netback and process 43 (netback) serve"},
		{"no log directory", func(c *clinic) { c.remove("log") }, "PROBLEM directories: " /* its path */},
		{"a file for a directory", func(c *clinic) { c.remove("log"); c.file("log", "") }, "PROBLEM directories: "},
		{"no bridge", func(c *clinic) { c.remove("sys/class/net/xenbr0") }, "note bridge: there is no bridge xenbr0"},
		{"a second guest of the name", func(c *clinic) { c.addGuest(8, "web") }, "PROBLEM guests: domains 7 and 8 are both called web"},
		{"a domain without a name", func(c *clinic) { c.xen.AddDomain(8) }, "PROBLEM guests: domain 8 has no name"},
		{"a guest that was sent away", func(c *clinic) { c.addGuest(8, "db--migratedaway") }, "PROBLEM guests: domain 8 (db--migratedaway) was sent"},
		{"a guest that arrives", func(c *clinic) { c.addGuest(8, "db--incoming") }, "note guests: domain 8 (db--incoming) is arriving"},
		{"a guest that has crashed", func(c *clinic) { c.xen.Shutdown(guest, abi.ShutdownReason(domains.Crash)) }, "note guests: domain 7 (web) has ended (crash)"},
		{"a suspended guest", func(c *clinic) { c.xen.Shutdown(guest, abi.ShutdownReason(domains.Suspend)) }, "note guests: domain 7 (web) is suspended"},
		{"a guest that nobody follows", func(c *clinic) {
			if err := os.MkdirAll(c.in("own/guests"), 0o755); err != nil {
				c.Fatal(err)
			}
			c.file("own/guests/00000000-0000-0000-0000-000000000001.json", "{}")
		}, "PROBLEM supervisor: 1 guests are to be followed"},
		{"xenstore remembers a domain", func(c *clinic) { c.write("/local/domain/9/name", "old") }, "PROBLEM xenstore: /local/domain/9 is left of domain 9"},
		{"xenstore remembers a toolstack's note", func(c *clinic) { c.write("/libxl/9/type", "pv") }, "PROBLEM xenstore: /libxl/9 is left"},
		{"xenstore remembers a backend", func(c *clinic) { c.write("/local/domain/0/backend/vbd/9/51712/state", "6") }, "PROBLEM xenstore: /local/domain/0/backend/vbd/9 is left"},
		{"xenstore remembers a guest", func(c *clinic) { c.write("/vm/00000000-0000-0000-0000-0000000000ff/name", "old") }, "note xenstore: /vm/00000000-0000-0000-0000-0000000000ff is left"},
		{"a configuration of a gone domain", func(c *clinic) {
			c.file("lib/userdata-d.9.00000000-0000-0000-0000-0000000000ff.libxl-json", "{}")
		}, "note files: "},
		{"a configuration of a predecessor with the same id", func(c *clinic) {
			c.file("lib/userdata-d.7.00000000-0000-0000-0000-0000000000ff.libxl-json", "{}")
		}, "note files: "},
		{"a loop device", func(c *clinic) { c.loop("disk.img") }, "note loop devices: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newClinic(t, 17)
			tt.spoil(c)
			bad := worse(c.examine())
			if len(bad) != 1 || !strings.HasPrefix(bad[0], tt.want) {
				t.Errorf("found:\n%s\nwant one: %s…", strings.Join(bad, "\n"), tt.want)
			}
		})
	}
}

// loop shows a file of the clinic on a loop device, and returns its path.
func (c *clinic) loop(name string) string {
	c.file(name, "")
	l, err := c.m.Host().AttachLoop(c.in(name), false)
	if err == nil {
		err = errors.Join(l.Keep(), l.Close())
	}
	if err != nil {
		c.Fatal(err)
	}
	return l.Path
}

func TestLoopDevicesInUse(t *testing.T) {
	for name, use := range map[string]func(c *clinic, dev string){
		"by a guest":       func(c *clinic, dev string) { c.write("/local/domain/0/backend/vbd/7/51712/node", dev) },
		"by a file system": func(c *clinic, dev string) { c.file("proc/mounts", dev+" /mnt ext4 rw 0 0\n") },
	} {
		t.Run(name, func(t *testing.T) {
			c := newClinic(t, 17)
			use(c, c.loop("disk.img"))
			if bad := worse(c.examine()); len(bad) > 0 {
				t.Errorf("found:\n%s", strings.Join(bad, "\n"))
			}
		})
	}
}

// TestUnderWay: what another command is about to remove is no finding.
func TestUnderWay(t *testing.T) {
	c := newClinic(t, 17)
	c.write("/local/domain/9/name", "old")
	time.AfterFunc(20*time.Millisecond, func() { _ = c.store.Rm(context.Background(), "/local/domain/9") })
	if bad := worse(doctor.Examine(t.Context(), c.m, doctor.Options{Patience: 300 * time.Millisecond})); len(bad) > 0 {
		t.Errorf("found:\n%s", strings.Join(bad, "\n"))
	}
}

// TestUnrunRelease: a release that the tests do not run on is said to be so.
func TestUnrunRelease(t *testing.T) {
	bad := worse(newClinic(t, 18).examine())
	if len(bad) != 1 || !strings.HasPrefix(bad[0], "note hypervisor: Xen 4.18") {
		t.Errorf("found:\n%s", strings.Join(bad, "\n"))
	}
}

// TestUnanswered: what cannot be looked at is a finding, and the rest is looked at.
func TestUnanswered(t *testing.T) {
	c := newClinic(t, 17)
	c.loop("disk.img")
	c.remove("proc/mounts")
	bad := worse(c.examine())
	if len(bad) != 1 || !strings.HasPrefix(bad[0], "PROBLEM loop devices: could not be looked at: open ") {
		t.Errorf("found:\n%s", strings.Join(bad, "\n"))
	}
}
