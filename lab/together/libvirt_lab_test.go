package together

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/digitalocean/go-libvirt/socket/dialers"

	"goxl/lab/dom0"
	"goxl/xenctrl/xentest"
)

// TestLabLibvirt has libvirt, which is one more program on libxl, make guests on a host
// where ours does, too. Each end of a guest is followed by the program that made it,
// whoever asked for it, and each sees what the other did.
func TestLabLibvirt(t *testing.T) {
	if os.Getenv("GOXL_XEN") != "4.17" {
		t.Skip("the lab has libvirt on 4.17")
	}
	xentest.NeedXen(t)
	defer dom0.Leftovers(t)()
	ours, genuine := dom0.Toolstacks(t)
	dom0.Drivers(t)
	v := startLibvirt(t)
	guest := v.create(t, "lv", filepath.Join(plainDir(t), "lv.img"))
	t.Cleanup(func() { destroyAny(t, genuine, "lv", "mine") })

	mine := dom0.Mini{Name: "mine", Kind: "pvh", MiB: 16, VCPUs: 1, More: "on_reboot = \"restart\"\n"}
	cfg := filepath.Join(plainDir(t), "mine.cfg")
	mine.Write(t, cfg)
	ours.Must(t, "create", cfg)

	t.Run("both see all", func(t *testing.T) {
		for _, args := range [][]string{{"domid", "lv"}, {"domid", "mine"}, {"list", "-l", "lv"}, {"block-list", "lv"}} {
			if a, b := ours.Must(t, args...), genuine.Must(t, args...); a != b {
				t.Errorf("xl %s: ours says\n%s\nand the genuine tool\n%s", strings.Join(args, " "), a, b)
			}
		}
	})
	t.Run("a name of libvirt's is taken", func(t *testing.T) {
		if r := ours.Run(t, dom0.Patience, "create", cfg, `name="lv"`); r.Code == 0 {
			t.Error("ours made a second guest of that name")
		}
	})
	t.Run("its devices", func(t *testing.T) {
		spare := image(t, filepath.Join(plainDir(t), "spare.img"))
		ours.Must(t, "block-attach", "lv", "format=raw,vdev=xvdb,access=rw,target="+spare)
		if list := genuine.Must(t, "block-list", "lv"); !strings.Contains(list, "51728") {
			t.Errorf("the genuine tool does not list the disk:\n%s", list)
		}
		ours.Must(t, "block-detach", "lv", "xvdb")
	})
	t.Run("reboot", func(t *testing.T) {
		was := idOf(t, genuine, "lv")
		ours.Must(t, "reboot", "lv")
		until(t, "libvirt to build its guest anew, once", func() bool {
			id := idOf(t, genuine, "lv")
			again, err := v.DomainLookupByName("lv")
			return id != "" && id != was && err == nil && strconv.Itoa(int(again.ID)) == id && again.UUID == guest.UUID
		})
		was = idOf(t, genuine, "mine")
		ours.Must(t, "reboot", "mine")
		until(t, "ours to build its guest anew", func() bool { id := idOf(t, genuine, "mine"); return id != "" && id != was })
	})
	v.stop(t)
	v = startLibvirt(t)
	t.Run("libvirt was killed and started anew", func(t *testing.T) {
		if _, err := v.DomainLookupByName("lv"); err != nil {
			t.Errorf("libvirt forgot its guest: %v", err)
		}
		if idOf(t, genuine, "mine") == "" {
			t.Error("our guest is gone")
		}
	})
	t.Run("shutdown", func(t *testing.T) {
		ours.Must(t, "shutdown", "-w", "lv")
		until(t, "libvirt to clear its guest away", func() bool { _, err := v.DomainLookupByName("lv"); return err != nil })
		until(t, "no domain of that name", func() bool { return idOf(t, genuine, "lv") == "" })
		ours.Must(t, "shutdown", "-w", "mine")
		until(t, "no domain of our guest", func() bool { return idOf(t, genuine, "mine") == "" })
	})
}

// virt is a libvirtd of this test's, and the connection to it.
type virt struct {
	*libvirt.Libvirt
	daemon *exec.Cmd
}

// startLibvirt starts the daemon and connects to its driver for Xen.
func startLibvirt(t *testing.T) *virt {
	t.Helper()
	const sock = "/run/libvirt/libvirt-sock"
	os.Remove(sock)
	// libvirt asks for a processor that is at least one of those it knows. The least of
	// them has VME, which no emulated one does.
	dom0.Sh(t, "sed -i /vme/d /usr/share/libvirt/cpu_map/x86_486.xml")
	// Its driver for QEMU, which has no part in this, ends the daemon without its user.
	dom0.Sh(t, "getent passwd libvirt-qemu || useradd --system --user-group libvirt-qemu")
	conf := filepath.Join(plainDir(t), "libvirtd.conf")
	if err := os.WriteFile(conf, []byte("auth_unix_rw = \"none\"\nlog_outputs = \"2:stderr\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(filepath.Dir(conf), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	v := &virt{daemon: exec.Command("libvirtd", "-f", conf)}
	v.daemon.Stdout, v.daemon.Stderr = log, log
	if err := v.daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("libvirtd said:\n%s", text)
		}
		v.stop(t)
	})
	until(t, "libvirtd to listen", func() bool { _, err := os.Stat(sock); return err == nil })
	v.Libvirt = libvirt.NewWithDialer(dialers.NewLocal(dialers.WithSocket(sock), dialers.WithLocalTimeout(time.Minute)))
	if err := v.ConnectToURI(libvirt.XenSystem); err != nil {
		text, _ := os.ReadFile(log.Name())
		t.Fatalf("connect to libvirtd: %v\n%s", err, text)
	}
	return v
}

// stop kills the daemon; its guests run on.
func (v *virt) stop(t *testing.T) {
	if v.daemon == nil {
		return
	}
	if err := v.daemon.Process.Kill(); err != nil {
		t.Log(err)
	}
	_ = v.daemon.Wait() // it says that it was killed
	v.daemon = nil
}

// create has libvirt make a mini guest with a disk that it is to follow.
func (v *virt) create(t *testing.T, name, disk string) libvirt.Domain {
	t.Helper()
	d, err := v.DomainCreateXML(fmt.Sprintf(`<domain type='xen'>
  <name>%s</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='xenpvh'>xenpvh</type><kernel>%s</kernel></os>
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
  <devices><disk type='file' device='disk'><driver name='file' type='raw'/><source file='%s'/><target dev='xvda' bus='xen'/></disk></devices>
</domain>`, name, dom0.Getenv(t, "GOXL_MINI"), image(t, disk)), 0)
	if err != nil {
		t.Fatalf("libvirt does not make a guest: %v", err)
	}
	return d
}

// idOf is the domain id of a guest, "" if there is none.
func idOf(t *testing.T, x dom0.Tool, name string) string {
	t.Helper()
	return strings.TrimSpace(x.Run(t, dom0.Patience, "domid", name).Stdout)
}

// destroyAny destroys those of the guests that there are.
func destroyAny(t *testing.T, x dom0.Tool, names ...string) {
	for _, name := range names {
		if idOf(t, x, name) != "" {
			x.Run(t, dom0.Patience, "destroy", name)
		}
	}
}

// until waits for something, looking twice a second.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(dom0.Patience); !ok(); time.Sleep(500 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited %s for %s", dom0.Patience, what)
		}
	}
}
