package device

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"goxl/xenstore"
)

// record is what is stored about one device: the toolstack's copy of the backend
// keys, which the backend cannot change, and some of the frontend's.
type record struct {
	link  Link
	back  map[string]string
	front map[string]string
}

var recordKeys = []string{
	"params", "type", "script", "dev", "removable", "mode", "device-type", "specification", "direct-io-safe",
	"discard-enable", "mac", "bridge", "ip", "gatewaydev", "vifname", "mtu", "vlan", "handle", "rate",
	"name", "connection", "path",
}

func (s *Set) record(ctx context.Context, d Device, evtchn, ring, rx string) (record, error) {
	var b xenstore.Batch
	back, front := map[string]*xenstore.Reply{}, map[string]*xenstore.Reply{}
	for _, k := range recordKeys {
		back[k] = b.Read(d.LibxlPath() + "/" + k)
	}
	for _, k := range []string{"state", evtchn, ring, rx, "tty"} {
		front[k] = b.Read(d.FrontendPath() + "/" + k)
	}
	if err := s.Store.Send(ctx, &b); err != nil {
		return record{}, fmt.Errorf("look at %s: %w", d, err)
	}
	r := record{back: map[string]string{}, front: map[string]string{}}
	for k, v := range back {
		if text, err := v.Value(); err == nil {
			r.back[k] = text
		}
	}
	number := func(key string) int {
		text, err := front[key].Value()
		if err != nil {
			return -1
		}
		return cInt(text)
	}
	r.link = Link{Device: d, State: number("state"), EvtChn: number(evtchn), RingRef: number(ring), RxRef: number(rx)}
	tty, err := front["tty"].Value()
	if err != nil && !errors.Is(err, xenstore.ErrNotFound) {
		return record{}, err
	}
	r.front["tty"] = tty
	return r, nil
}

func (r record) disk() Disk {
	d := Disk{
		VDev: r.back["dev"], BackendDom: r.link.Backend, Script: r.back["script"],
		Target: r.back["params"], Spec: DiskSpec(r.back["specification"]),
		Writable: r.back["mode"] == "w", CDROM: r.back["device-type"] == "cdrom",
		Removable: cInt(r.back["removable"]) != 0, DirectIO: r.back["direct-io-safe"] == "1",
	}
	if _, path, ok := strings.Cut(d.Target, ":"); ok {
		d.Target = path
	}
	if v, ok := r.back["discard-enable"]; ok {
		on := v == "1"
		d.Discard = &on
	}
	d.Backend = DiskBackend(r.back["type"])
	if d.Backend == "vbd3" {
		d.Backend = BackendTap
	}
	return d
}

func (r record) nic() NIC {
	n := NIC{
		DevID: cInt(r.back["handle"]), Type: NICType(r.back["type"]), Bridge: r.back["bridge"],
		GatewayDev: r.back["gatewaydev"], IfName: r.back["vifname"], Script: r.back["script"],
		IP: r.back["ip"], MTU: DefaultMTU, VLAN: r.back["vlan"], BackendDom: r.link.Backend,
	}
	if m, err := ParseMAC(r.back["mac"]); err == nil {
		n.MAC = m
	}
	if v, ok := r.back["mtu"]; ok {
		n.MTU = cInt(v)
	}
	bytes, usecs, _ := strings.Cut(r.back["rate"], ",")
	b, err1 := strconv.ParseUint(bytes, 10, 64)
	u, err2 := strconv.ParseUint(usecs, 10, 32)
	if err1 == nil && err2 == nil {
		n.Rate = Rate{b, uint32(u)}
	}
	return n
}

// cInt reads a decimal number as C's strtol does, so that odd values show up in
// lists as they do with the genuine tool: digits up to the first other
// character, 0 without any, cut to 32 bits.
func cInt(s string) int {
	s = strings.TrimLeft(s, " \t\n\v\f\r")
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(strings.TrimPrefix(s, "-"), "+")
	var n int64
	for i := 0; i < len(s) && s[i] >= '0' && s[i] <= '9'; i++ {
		if n = n*10 + int64(s[i]-'0'); n > 1<<58 {
			n = 1<<63 - 1 // strtol stops at its largest number
			break
		}
	}
	if neg {
		n = -n
	}
	return int(int32(n))
}
