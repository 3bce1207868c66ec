package driverdomain_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// TestLabPlug has both tools give a guest that does not run a network interface and
// disks of another guest, and compares what stands in xenstore afterwards.
func TestLabPlug(t *testing.T) {
	h := newHosts(t)
	h.checkDaemon()
	h.compareNodes()
	h.end()
}

// TestLabDriverDomain has a guest whose network and disks another guest serves, given to
// it and taken away by both tools, while the daemons there are killed and started again.
func TestLabDriverDomain(t *testing.T) {
	if !dom0.Full() {
		t.Skip("takes minutes: xenlab test --full has it")
	}
	h := newHosts(t)
	run := filepath.Join(h.dir, "run.img")
	writeScript(t, run, "user")
	if err := os.Truncate(run, 1<<20); err != nil {
		t.Fatal(err)
	}
	h.user = start(t, h.ours, h.genuine, h.dir, "user", fmt.Sprintf("ramdisk=%q\nmemory=192\n"+
		"extra=\"console=hvc0 goxl.quiet goxl.run=/dev/xvdc\"\ndisk=[%q]\nvif=[\"backend=driver,bridge=br0,mac=00:16:3e:01:02:03\"]\n",
		dom0.Getenv(t, "GOXL_GUEST")+"/initrd.img", run+",raw,xvdc,ro"))
	h.image()
	h.kernelDisk()
	h.network()
	h.genuine.Must(t, "destroy", "user")
	h.end()
}

// pollPause is long, since whoever asks takes the one processor of an emulated host from
// those that are waited for.
const pollPause = 500 * time.Millisecond

// hosts is what the parts of the test share.
type hosts struct {
	*testing.T
	ours, genuine dom0.Tool
	dir           string
	driver, user  *guest
	unchanged     func()
}

// newHosts starts the driver domain.
func newHosts(t *testing.T) *hosts {
	t.Helper()
	xentest.NeedXen(t)
	dom0.InCoverOn(t, "4.17")
	h := &hosts{T: t, unchanged: dom0.Leftovers(t)}
	h.ours, h.genuine = dom0.Toolstacks(t)
	dir, err := os.MkdirTemp("/var/tmp", "driver-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	h.dir = dir
	h.driver = start(t, h.ours, h.genuine, dir, "driver", fmt.Sprintf("ramdisk=%q\nmemory=320\ndriver_domain=1\n"+
		"extra=\"console=hvc0 goxl.quiet goxl.run=/run.sh\"\n", initramfs(t, dir)))
	return h
}

// end takes the driver domain away, once nothing is left in it.
func (h *hosts) end() {
	h.Helper()
	h.nothingServed()
	h.ours.Must(h.T, "destroy", "driver")
	h.unchanged()
}

// checkDaemon looks at devd as it went into the background.
func (h *hosts) checkDaemon() {
	h.Helper()
	for line, want := range map[string]string{
		"ls /dev/xen | tr '\\n' ' '":                            "evtchn gntdev xenbus",
		"stat -c %a /run/devd.pid":                              "600",
		"cat /proc/$(cat /run/devd.pid)/comm":                   "xl",
		"readlink /proc/$(cat /run/devd.pid)/fd/2":              "/var/log/xen/xldevd.log",
		"ls -l /proc/$(cat /run/devd.pid)/fd | grep -c privcmd": "0",
		"/xl devd 2>&1 | grep -c 'is another xl devd running'":  "1",
	} {
		if got := h.driver.ask(line); got != want {
			h.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// network has both tools give the guest its network and take it away.
func (h *hosts) network() {
	h.Helper()
	h.traffic()
	list := h.genuine.Must(h.T, "network-list", "user")
	if want := fmt.Sprintf("/local/domain/%s/backend/vif/%s/0", h.driver.id, h.user.id); !strings.Contains(list, want) {
		h.Errorf("the genuine network-list says\n%s", list)
	}
	h.user.do("long")
	h.user.await("part 8")
	h.driver.do("kill -9 $netback; sleep 0.5; netback")
	h.user.await("part 16")
	h.driver.do("kill -9 $(cat /run/devd.pid); devd")
	h.driver.await("devd is up")
	sum := h.user.sum("sent")
	if got := h.driver.sum("got"); got != sum {
		h.Errorf("sent %s over two kills, and %s came", sum, got)
	}
	plugged := fmt.Sprintf(`cat /var/log/xen/xldevd.log* | grep -c 'device plugged.*"dom": %s, "kind": "vif"'`, h.user.id)
	if n := h.driver.ask(plugged); n != "1" {
		h.Errorf("the vif was plugged %s times:\n%s", n, h.driver.ask("cat /var/log/xen/xldevd.log*"))
	}
	h.ours.Must(h.T, "network-detach", "user", "0")
	h.nothingServed()
	h.genuine.Must(h.T, "network-attach", "user", "backend=driver", "bridge=br0", "mac=00:16:3e:01:02:03")
	h.traffic()
	h.genuine.Must(h.T, "network-detach", "user", "0")
	h.nothingServed()
	h.ours.Must(h.T, "network-attach", "user", "backend=driver", "bridge=br0", "mac=00:16:3e:01:02:03")
	h.traffic()
}

// traffic goes both ways.
func (h *hosts) traffic() {
	h.Helper()
	h.user.do("up")
	if line := h.user.await("packet loss"); !strings.Contains(line, " 0% packet loss") {
		h.Errorf("ping: %s", line)
	}
	h.user.do("upload")
	if sent, got := h.user.sum("sent"), h.driver.sum("got"); sent != got {
		h.Errorf("sent %s, and %s came", sent, got)
	}
	served := strings.Fields(h.driver.ask("sha256sum </served"))[0]
	h.user.do("download")
	if got := h.user.sum("received"); got != served {
		h.Errorf("served %s, and %s came", served, got)
	}
}

// image has a qcow2 file of the driver domain, which blkback serves there, as a disk.
func (h *hosts) image() {
	h.Helper()
	const disk = "backend=driver,vdev=xvdb,format=qcow2,access=rw,target=/d.qcow2"
	h.ours.Must(h.T, "block-attach", "user", disk)
	h.user.do("fill xvdb")
	h.user.await("wrote 2")
	h.driver.do("kill -9 $blkback; sleep 0.3; blkback")
	has := h.user.sum("xvdb has")
	h.genuine.Must(h.T, "block-detach", "user", "xvdb")
	h.awaitBackends("qdisk", 0)
	h.genuine.Must(h.T, "block-attach", "user", disk)
	h.user.do("look xvdb")
	if got := h.user.sum("xvdb shows"); got != has {
		h.Errorf("wrote %s over a kill, and read %s", has, got)
	}
}

// kernelDisk has a raw file of the driver domain, which its kernel serves, as a disk.
func (h *hosts) kernelDisk() {
	h.Helper()
	h.ours.Must(h.T, "block-attach", "user", "backend=driver,vdev=xvdd,format=raw,access=rw,target=/d.img")
	h.user.do("fill xvdd")
	has := h.user.sum("xvdd has")
	if got := strings.Fields(h.driver.ask("dd if=/d.img bs=64k count=8 2>/dev/null | sha256sum"))[0]; got != has {
		h.Errorf("wrote %s, and the file has %s", has, got)
	}
	if got := h.driver.ask("losetup -a"); !strings.Contains(got, "/d.img") {
		h.Errorf("losetup says %q", got)
	}
}

// nothingServed waits until the driver domain serves no vif, and fails unless the nodes
// above and all that it made for guests are gone.
func (h *hosts) nothingServed() {
	h.Helper()
	h.awaitBackends("vif", 0)
	if h.user != nil && strings.Contains(h.genuine.Must(h.T, "list"), "user ") {
		return // disks may stay
	}
	h.awaitBackends("qdisk", 0)
	h.awaitBackends("vbd", 0)
	for line, want := range map[string]string{
		"ls /sys/class/net | grep -c vif": "0",
		"losetup -a | wc -l":              "0",
	} {
		if got := h.driver.ask(line); got != want {
			h.Errorf("left in the driver domain: %s: %q", line, got)
		}
	}
	if out := dom0.Sh(h.T, "xenstore-ls -f /local/domain/"+h.driver.id+"/backend 2>/dev/null; true"); out != "" {
		h.Errorf("left in xenstore:\n%s", out)
	}
}

// awaitBackends waits until the driver domain serves so many guests with a kind.
func (h *hosts) awaitBackends(kind string, n int) {
	h.Helper()
	var out string
	for end := time.Now().Add(dom0.Patience); time.Now().Before(end); time.Sleep(pollPause) {
		out = dom0.Sh(h.T, fmt.Sprintf("xenstore-list /local/domain/%s/backend/%s 2>/dev/null; true", h.driver.id, kind))
		if strings.Count(out, "\n") == n {
			return
		}
	}
	h.Fatalf("%s of these domains are served, and should be of %d:\n%s", kind, n, out)
}

// compareNodes has both tools make a guest of the same configuration, and compares what
// is in xenstore of its devices, with permissions.
func (h *hosts) compareNodes() {
	h.Helper()
	var all [2][]string
	for i, x := range []dom0.Tool{h.ours, h.genuine} {
		cfg := filepath.Join(h.dir, "nodes.cfg")
		m := dom0.Mini{Name: "nodes", Kind: "pvh", MiB: 32, VCPUs: 1, More: `vif=["backend=driver,bridge=br0,mac=00:16:3e:0a:0b:0c"]
disk=["backend=driver,vdev=xvdb,format=raw,access=rw,target=/d.img", "backend=driver,vdev=xvdc,format=qcow2,access=rw,target=/d.qcow2"]
`}
		m.Write(h.T, cfg)
		x.Must(h.T, "create", "-q", "-p", cfg)
		id := strings.TrimSpace(h.genuine.Must(h.T, "domid", "nodes"))
		all[i] = h.nodes(id)
		h.ours.Must(h.T, "destroy", "nodes")
		h.awaitBackends("vif", 0)
		h.awaitBackends("vbd", 0)
		h.awaitBackends("qdisk", 0)
	}
	if d := cmp.Diff(all[1], all[0]); d != "" {
		h.Errorf("devices of a driver domain (-genuine +ours):\n%s", d)
	}
	if len(all[0]) < 60 {
		h.Errorf("only %d nodes were compared", len(all[0]))
	}
}

// nodes lists a guest's devices once the driver domain has plugged them all.
func (h *hosts) nodes(id string) []string {
	h.Helper()
	back := "/local/domain/" + h.driver.id + "/backend"
	for path, want := range map[string]string{
		"vif/" + id + "/0/hotplug-status": "connected", "vbd/" + id + "/51728/hotplug-status": "connected",
		"qdisk/" + id + "/51744/state": "2",
	} {
		end := time.Now().Add(dom0.Patience)
		for got := ""; got != want; time.Sleep(pollPause) {
			got = strings.TrimSpace(dom0.Sh(h.T, "xenstore-read "+back+"/"+path+" 2>/dev/null; true"))
			if time.Now().After(end) {
				h.Fatalf("%s is %q, want %q", path, got, want)
			}
		}
	}
	var lines []string
	for _, dir := range []string{"/libxl/" + id + "/device", "/local/domain/" + id + "/device", back} {
		out := dom0.Sh(h.T, "xenstore-ls -f -p "+dir)
		for _, form := range []string{`((?:domain|vif|vbd|qdisk|console|libxl)/)%s\b`, `(frontend-id = ")%s\b`, `(\([^ ]*[nrwb])%s\b`} {
			out = regexp.MustCompile(fmt.Sprintf(form, id)).ReplaceAllString(out, "${1}GUEST")
		}
		lines = append(lines, strings.Split(strings.TrimSpace(out), "\n")...)
	}
	slices.Sort(lines)
	return lines
}
