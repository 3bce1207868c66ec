package packet

import (
	"encoding/binary"
	"net/netip"
)

// Guard decides which frames a guest may send, by the addresses that they claim to
// come from. The zero value lets everything through. It is not changed once in use.
type Guard struct {
	CheckMAC bool
	MAC      [6]byte
	// With IPs, only IPv4, ARP and IPv6 may be sent, and only from these networks.
	// A guest may always send from its link-local addresses, and while it has no
	// address yet: DHCP from 0.0.0.0, and IPv6 from ::.
	IPs []netip.Prefix
}

// Allows reports whether the guest may send frame f. A frame that is too short to
// tell is refused.
func (g *Guard) Allows(f []byte) bool {
	if len(f) < ethHeader {
		return false
	}
	if g.CheckMAC && [6]byte(f[6:]) != g.MAC {
		return false
	}
	if len(g.IPs) == 0 {
		return true
	}
	body := f[ethHeader:]
	switch binary.BigEndian.Uint16(f[12:]) { // a VLAN's frames are of no network of ours
	case etherARP:
		return g.arp(body)
	case etherIPv4:
		return g.ipv4(body)
	case etherIPv6:
		return g.ipv6(body)
	}
	return false
}

func (g *Guard) has(a netip.Addr) bool {
	for _, p := range g.IPs {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// arp looks at the sender's addresses. Source: RFC 826; a sender without an
// address asks whether one is free (RFC 5227).
func (g *Guard) arp(b []byte) bool {
	if len(b) < 28 || binary.BigEndian.Uint64(b)>>16 != 0x0001_0800_0604 {
		return false
	}
	if g.CheckMAC && [6]byte(b[8:]) != g.MAC {
		return false
	}
	a := netip.AddrFrom4([4]byte(b[14:]))
	return a.IsUnspecified() && binary.BigEndian.Uint16(b[6:]) == 1 || g.has(a)
}

func (g *Guard) ipv4(b []byte) bool {
	if len(b) < ipv4Min || b[0]>>4 != 4 {
		return false
	}
	a := netip.AddrFrom4([4]byte(b[12:]))
	if !a.IsUnspecified() {
		return g.has(a)
	}
	n := int(b[0]&15) * 4
	return n >= ipv4Min && len(b) >= n+udpMin && b[9] == protoUDP &&
		binary.BigEndian.Uint32(b[n:]) == 68<<16|67 // DHCP client to server
}

func (g *Guard) ipv6(b []byte) bool {
	if len(b) < ipv6Min || b[0]>>4 != 6 {
		return false
	}
	allowed := func(a netip.Addr) bool { return a.IsLinkLocalUnicast() || g.has(a) }
	a := netip.AddrFrom16([16]byte(b[8:]))
	if !a.IsUnspecified() && !allowed(a) {
		return false
	}
	var t transport
	if t.throughIPv6(b) != nil { // an advertisement may stand behind options
		return false
	}
	const neighbourAdvertisement = 136 // RFC 4861, 4.4
	if t.proto != protoICMPv6 {
		return true
	}
	if len(b) <= t.start {
		return false
	}
	if b[t.start] != neighbourAdvertisement {
		return true
	}
	target := b[t.start:]
	return len(target) >= 24 && allowed(netip.AddrFrom16([16]byte(target[8:])))
}
