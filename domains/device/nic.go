package device

import (
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
)

// MAC is an Ethernet address. The zero value stands for "choose one".
type MAC [6]byte

// String returns m with colons, in lower case.
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// ParseMAC reads six bytes of two hexadecimal digits with colons between.
func ParseMAC(s string) (MAC, error) {
	var m MAC
	part := strings.Split(s, ":")
	if len(part) != len(m) {
		return MAC{}, fmt.Errorf("MAC address %q: not six bytes with colons between", s)
	}
	for i, p := range part {
		b, err := strconv.ParseUint(p, 16, 8)
		if err != nil || len(p) != 2 {
			return MAC{}, fmt.Errorf("MAC address %q: %q is no byte", s, p)
		}
		m[i] = byte(b)
	}
	return m, nil
}

// NewMAC returns a random address with Xen's own prefix 00:16:3e.
func NewMAC() MAC {
	m := MAC{0x00, 0x16, 0x3e}
	rand.Read(m[3:]) // never fails
	m[3] &= 0x7f
	return m
}

// NICType says whether a network interface has an emulated twin.
type NICType string

// The types; the zero value is chosen by the guest's type.
const (
	NICVif   NICType = "vif"
	NICIOEmu NICType = "vif_ioemu" // vif and emulated card; HVM only
)

// Defaults of a network interface.
const (
	DefaultBridge = "xenbr0"
	DefaultMTU    = 1500
	DefaultModel  = "rtl8139"
)

// AutoID stands for "the next free id of this kind" in a description's DevID.
const AutoID = -1

// NIC describes a virtual network interface.
type NIC struct {
	DevID      int // AutoID: the next free one
	MAC        MAC // zero: a random one
	Type       NICType
	Model      string // of the emulated card
	Bridge     string // "": DefaultBridge
	GatewayDev string
	IfName     string // name of the interface in the backend domain; "": vifD.N
	Script     string // "": vif-bridge
	IP         string
	MTU        int // zero: DefaultMTU
	VLAN       string
	BackendDom DomID
	Rate       Rate
	Untrusted  bool
	ForwardDev string // COLO
	COLO       []KV   // COLO's nodes, each as colo_KEY, in order
}

// KV is one key and its value.
type KV struct{ Key, Value string }

// Rate limits what a guest may send. The zero value is no limit.
type Rate struct {
	BytesPerInterval uint64
	IntervalUsecs    uint32
}

// setDefaults fills in what n leaves open, but for DevID. Running: the guest
// runs already, so an HVM guest's new interface has no emulated twin.
func (n *NIC) setDefaults(t GuestType, running bool) error {
	if n.MTU == 0 {
		n.MTU = DefaultMTU
	}
	if n.Model == "" {
		n.Model = DefaultModel
	}
	if n.MAC == (MAC{}) {
		n.MAC = NewMAC()
	}
	if n.Bridge == "" {
		n.Bridge = DefaultBridge
	}
	switch {
	case t == HVM && n.Type == "" && !running:
		n.Type = NICIOEmu
	case t == HVM && n.Type == "":
		n.Type = NICVif
	case t != HVM && n.Type == NICIOEmu:
		return fmt.Errorf("vif %s: a %s guest cannot have an emulated interface; use type=vif", n.MAC, t)
	case t != HVM:
		n.Type = NICVif
	}
	return nil
}

// Device returns the identity of n in guest dom.
func (n *NIC) Device(dom DomID) Device {
	return Device{Dom: dom, Kind: VIF, ID: n.DevID, Backend: n.BackendDom, BackendKind: VIF}
}

func (n *NIC) nodes(dev Device, env nodeEnv) nodes {
	o := generic(dev)
	o.back.add("script", scriptPath(env.scriptDir, n.Script, "vif-bridge"))
	addSet(&o.back, "vifname", n.IfName)
	addSet(&o.back, "forwarddev", n.ForwardDev)
	for _, kv := range n.COLO {
		o.back.add("colo_"+kv.Key, kv.Value)
	}
	o.back.add("mac", n.MAC.String())
	addSet(&o.back, "ip", n.IP)
	addSet(&o.back, "gatewaydev", n.GatewayDev)
	if n.Rate.IntervalUsecs > 0 {
		o.back.add("rate", fmt.Sprintf("%d,%d", n.Rate.BytesPerInterval, n.Rate.IntervalUsecs))
	}
	if env.layout.MTU && n.MTU != DefaultMTU {
		o.back.add("mtu", strconv.Itoa(n.MTU))
	}
	if env.layout.VLAN {
		addSet(&o.back, "vlan", n.VLAN)
	}
	o.back.add("bridge", n.Bridge)
	o.back.add("handle", strconv.Itoa(dev.ID))
	o.back.add("type", string(n.Type))
	o.front.add("handle", strconv.Itoa(dev.ID))
	o.front.add("mac", n.MAC.String())
	if env.layout.MTU {
		o.roFront.add("mtu", strconv.Itoa(n.MTU))
	}
	if env.layout.HotplugStatus {
		o.back.add("hotplug-status", "") // the backend waits for a script to fill it in
	}
	o.front.add("trusted", bit(!n.Untrusted))
	return o
}

func addSet(p *pairs, key, value string) {
	if value != "" {
		p.add(key, value)
	}
}

// ifName is the name that the kernel gives the backend's network interface.
func ifName(d Device) string { return fmt.Sprintf("vif%d.%d", d.Dom, d.ID) }
