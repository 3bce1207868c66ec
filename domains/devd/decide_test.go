package devd

import (
	"testing"

	"goxl/domains/device"
)

func TestNext(t *testing.T) {
	waits := seen{exists: true, state: device.InitWait, online: true}
	with := func(in seen, change func(*seen)) seen { change(&in); return in }
	fresh := with(waits, func(in *seen) { in.state = device.Initialising })
	for _, tt := range []struct {
		name  string
		kind  device.Kind
		in    seen
		tried bool
		want  action
	}{
		{"no nodes", device.VIF, seen{}, false, forget},
		{"just made", device.VIF, fresh, false, wait},
		{"waits for its device", device.VIF, waits, false, plug},
		{"a disk waits for its device", device.VBD, waits, false, plug},
		{"was tried", device.VIF, waits, true, wait},
		{"was tried by an earlier daemon", device.VIF, with(waits, func(in *seen) { in.status = "error" }), false, plug},
		{"plugged", device.VIF, with(waits, func(in *seen) { in.status = "connected" }), false, wait},
		{"waits, but is to go", device.VIF, with(waits, func(in *seen) { in.online = false }), false, wait},
		{"connected", device.VIF, seen{exists: true, state: device.Connected, online: true, status: "connected"}, false, wait},
		{"connected, of before this daemon's time", device.VBD, seen{exists: true, state: device.Connected, online: true}, false, wait},
		{"closing", device.VIF, seen{exists: true, state: device.Closing}, false, wait},
		{"closed for good", device.VIF, seen{exists: true, state: device.Closed}, false, withdraw},
		{"closed for good, never plugged", device.VBD, seen{exists: true, state: device.Closed, status: "error"}, true, withdraw},
		{"closed by its guest, who may come again", device.VIF, seen{exists: true, state: device.Closed, online: true}, false, wait},
		{"closed for good, of a kind without script", device.VKBD, seen{exists: true, state: device.Closed}, false, withdraw},
		{"an image", device.QDisk, fresh, false, assign},
		{"an image with a server", device.QDisk, with(fresh, func(in *seen) { in.server = "blkback" }), false, wait},
		{"an image closed by its guest", device.QDisk, seen{exists: true, state: device.Closed, online: true, front: device.Closed}, false, wait},
		{"an image closed by libxl", device.QDisk, seen{exists: true, state: device.Closed, online: true, front: device.Connected}, false, withdraw},
		{"a vif whose guest claims to be connected", device.VIF, seen{exists: true, state: device.Closed, online: true, front: device.Connected}, false, wait},
		{"a shared folder", device.P9FS, fresh, false, refuse},
		{"a shared folder, refused", device.P9FS, with(fresh, func(in *seen) { in.status = "error" }), false, wait},
	} {
		if got := next(tt.kind, tt.in, tt.tried); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// TestNextNeverPlugsWhatIsPlugged goes through all that nodes can say.
func TestNextNeverPlugsWhatIsPlugged(t *testing.T) {
	for state := device.Unknown; state <= device.Reconfigured; state++ {
		for _, online := range []bool{true, false} {
			for _, status := range []string{"", "connected", "error", "busy"} {
				for _, kind := range []device.Kind{device.VIF, device.VBD, device.QDisk, device.P9FS, device.VKBD} {
					in := seen{exists: true, state: state, online: online, status: status}
					act := next(kind, in, false)
					if act == plug && (status == "connected" || !online || state != device.InitWait) {
						t.Errorf("%s %+v: %s", kind, in, act)
					}
					if act == withdraw && (state != device.Closed || online) {
						t.Errorf("%s %+v: %s", kind, in, act)
					}
				}
			}
		}
	}
}
