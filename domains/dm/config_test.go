package dm

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"goxl/domains/device"
)

// TestArgsAreThoseOfXL compares with /proc/PID/cmdline of a QEMU that the genuine
// xl of Xen 4.17.5 (Debian 12) started, but for the first channel's number: up to
// 4.18 xl gives it the primary console's.
func TestArgsAreThoseOfXL(t *testing.T) {
	c := Config{
		Dom: 33, Name: "device-q", MaxMem: 161 << 10,
		VFB: &device.VFB{KeyMap: "de", VNC: device.VNC{Listen: "127.0.0.1"}},
		Channels: []device.Channel{
			{DevID: 1, Name: "org.a", Connection: "pty"},
			{DevID: 2, Name: "org.b", Connection: "socket", Path: "/tmp/device-chan"},
		},
	}
	got, err := c.args("/var/run/xen")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"-xen-domid", "33", "-no-shutdown",
		"-chardev", "socket,id=libxl-cmd,path=/var/run/xen/qmp-libxl-33,server=on,wait=off",
		"-mon", "chardev=libxl-cmd,mode=control",
		"-chardev", "socket,id=libxenstat-cmd,path=/var/run/xen/qmp-libxenstat-33,server=on,wait=off",
		"-mon", "chardev=libxenstat-cmd,mode=control",
		"-chardev", "pty,id=libxl-channel1",
		"-chardev", "socket,id=libxl-channel2,path=/tmp/device-chan,server=on,wait=off",
		"-nodefaults", "-no-user-config", "-xen-attach", "-name", "device-q",
		"-vnc", "127.0.0.1:0,to=99", "-display", "none", "-k", "de",
		"-machine", "xenpv", "-m", "161",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("arguments (-xl +ours):\n%s", diff)
	}
}

func TestDisplay(t *testing.T) {
	for _, tt := range []struct {
		name string
		vfb  *device.VFB
		want []string // nil: refused
		env  []string
	}{
		{"none", nil, []string{"-vnc", "none", "-display", "none", "-nographic"}, nil},
		{"vnc", &device.VFB{}, []string{"-vnc", "127.0.0.1:0,to=99", "-display", "none"}, nil},
		{"password and fixed display", &device.VFB{VNC: device.VNC{Listen: "::1", Display: 0, Password: "x", NoSearch: true}},
			[]string{"-vnc", "::1,password=on", "-display", "none"}, nil},
		{"listen with display", &device.VFB{VNC: device.VNC{Listen: "h:3"}}, []string{"-vnc", "h:3,to=99", "-display", "none"}, nil},
		{"two displays", &device.VFB{VNC: device.VNC{Listen: "h:3", Display: 2}}, nil, nil},
		{"sdl", &device.VFB{NoVNC: true, SDL: device.SDL{Enable: true, Display: ":1", XAuthority: "/x"}},
			[]string{"-vnc", "none", "-display", "none", "-display", "sdl"}, []string{"DISPLAY=:1", "XAUTHORITY=/x"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := Config{VFB: tt.vfb}
			got, err := c.display()
			if diff := cmp.Diff(tt.want, got); diff != "" || (err != nil) != (tt.want == nil) {
				t.Errorf("%v\n%s", err, diff)
			}
			if diff := cmp.Diff(tt.env, c.env([]string{"XEN_QEMU_CONSOLE_LIMIT=5"})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNeedQEMU(t *testing.T) {
	for _, tt := range []struct {
		name string
		d    Devices
		want bool
	}{
		{"nothing", Devices{}, false},
		{"phy disk", Devices{Disks: []device.Disk{{Backend: device.BackendPhy}}}, false},
		{"qdisk", Devices{Disks: []device.Disk{{Backend: device.BackendQDisk}}}, true},
		{"qdisk by goxl's daemon", Devices{Disks: []device.Disk{{Backend: device.BackendQDisk, Daemon: true}}}, false},
		{"qdisk elsewhere", Devices{Disks: []device.Disk{{Backend: device.BackendQDisk, BackendDom: 3}}}, false},
		{"vfb", Devices{VFBs: []device.VFB{{}}}, true},
		{"9pfs", Devices{P9s: []device.P9{{}}}, true},
		{"9pfs by its daemon", Devices{P9s: []device.P9{{Daemon: true}}}, false},
		{"channel", Devices{Channels: []device.Channel{{}}}, true},
	} {
		if got := tt.d.NeedQEMU(0); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestUserProcess(t *testing.T) {
	status := "Name:\tqemu\nState:\tS (sleeping)\nPid:\t77\nUid:\t65533\t65533\t65533\t65533\n"
	if pid, ok := userProcess(status, 65533); !ok || pid != 77 {
		t.Error(pid, ok)
	}
	if _, ok := userProcess(status, 0); ok {
		t.Error("another user's process counts")
	}
	if _, ok := userProcess("State:\tZ (zombie)\nPid:\t77\nUid:\t5\t5\n", 5); ok {
		t.Error("a dead process counts")
	}
}

func FuzzUserProcess(f *testing.F) {
	f.Add("Pid:\t1\nUid:\t0", uint64(0))
	f.Fuzz(func(t *testing.T, s string, uid uint64) {
		if pid, ok := userProcess(s, uid); ok && pid <= 1 {
			t.Errorf("process %d", pid)
		}
	})
}
