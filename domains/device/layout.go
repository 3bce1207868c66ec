package device

import "strconv"

// Layout says which nodes and backends a release's toolstack knows. It follows
// the installed genuine toolstack, so that both write the same tree; it has
// nothing to do with hypercalls, which is why it is not in xenctrl/abi.
type Layout struct {
	MTU           bool // nodes "mtu" of a vif; since 4.15
	HotplugStatus bool // empty node "hotplug-status" of a new vif; since 4.15
	Specification bool // node "specification" of a disk; since 4.17
	Tap           bool // blktap disks, and empty CD drives on phy; since 4.19
	GrantUsage    bool // node "grant_usage" of a virtio disk; since 4.19
	VLAN          bool // node "vlan" of a vif; since 4.19
	Xen9PFSD      bool // 9pfs served by xen-9pfsd; since 4.19
}

// LayoutOf returns the layout of Xen 4.minor.
func LayoutOf(minor int) Layout {
	return Layout{
		MTU:           minor >= 15,
		HotplugStatus: minor >= 15,
		Specification: minor >= 17,
		Tap:           minor >= 19,
		GrantUsage:    minor >= 19,
		VLAN:          minor >= 19,
		Xen9PFSD:      minor >= 19,
	}
}

// nodes is everything written for one device, in the order it is written.
type nodes struct {
	back    pairs // below the backend directory, and again below the libxl path
	front   pairs // below the frontend directory, the guest's to change
	roFront pairs // below the frontend directory, not the guest's to change
	awaited bool  // its backend gets ready though it is of a kind that QEMU serves
}

type pairs []pair

type pair struct{ key, value string }

func (p *pairs) add(key, value string) { *p = append(*p, pair{key, value}) }

// nodeEnv is what nodes depend on besides the description of the device.
type nodeEnv struct {
	layout    Layout
	scriptDir string
	protocol  string // of a PV guest's block ring, else ""
}

// generic returns the nodes that every device but disks and consoles starts with.
func generic(dev Device) nodes {
	var n nodes
	n.back.add("frontend-id", strconv.Itoa(int(dev.Dom)))
	n.back.add("online", "1")
	n.back.add("state", "1")
	n.front.add("backend-id", strconv.Itoa(int(dev.Backend)))
	n.front.add("state", "1")
	return n
}

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}
