package packet

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

func nets(list ...string) (p []netip.Prefix) {
	for _, s := range list {
		p = append(p, netip.MustParsePrefix(s))
	}
	return p
}

func arp(op uint16, hw [6]byte, ip string) frame {
	f := eth(etherARP)
	f = append(f, 0, 1, 8, 0, 6, 4)
	f = binary.BigEndian.AppendUint16(f, op)
	f = append(f, hw[:]...)
	f = append(f, netip.MustParseAddr(ip).AsSlice()...)
	return append(f, make([]byte, 10)...)
}

func advertisement(target string, options bool) frame {
	f := eth(etherIPv6)
	if options {
		f = f.ipv6(ipv6HopByHop, "fe80::1", "ff02::1", 32)
		f = append(f, protoICMPv6, 0, 0, 0, 0, 0, 0, 0)
	} else {
		f = f.ipv6(protoICMPv6, "fe80::1", "ff02::1", 24)
	}
	f = append(f, 136, 0, 0, 0, 0, 0, 0, 0)
	return append(f, netip.MustParseAddr(target).AsSlice()...)
}

func TestGuard(t *testing.T) {
	none := Guard{}
	mac := Guard{CheckMAC: true, MAC: macA}
	ip := Guard{CheckMAC: true, MAC: macA, IPs: nets("10.0.0.1/32", "2001:db8::/64")}
	other := tcp4(0)
	other[11]++
	v4 := func(src string) frame { return eth(etherIPv4).ipv4(protoTCP, src, "10.9.9.9", 20).tcp(0) }
	for _, tt := range []struct {
		name  string
		g     Guard
		frame frame
		want  bool
	}{
		{"no rules", none, other, true},
		{"no rules, too short", none, other[:13], false},
		{"own MAC", mac, tcp4(0), true},
		{"foreign MAC", mac, other, false},
		{"own MAC, any protocol", mac, eth(0x1234), true},
		{"own IPv4", ip, v4("10.0.0.1"), true},
		{"foreign IPv4", ip, v4("10.0.0.2"), false},
		{"IPv4 cut", ip, v4("10.0.0.1")[:20], false},
		{"own IPv4 in a VLAN", ip, v4("10.0.0.1").vlan(), false},
		{"DHCP", ip, eth(etherIPv4).ipv4(protoUDP, "0.0.0.0", "255.255.255.255", 8).udp(68, 67, 0), true},
		{"DHCP server", ip, eth(etherIPv4).ipv4(protoUDP, "0.0.0.0", "255.255.255.255", 8).udp(67, 68, 0), false},
		{"TCP from nowhere", ip, v4("0.0.0.0"), false},
		{"ARP", ip, arp(2, macA, "10.0.0.1"), true},
		{"ARP for another", ip, arp(2, macA, "10.0.0.2"), false},
		{"ARP with another MAC", ip, arp(2, macB, "10.0.0.1"), false},
		{"ARP probe", ip, arp(1, macA, "0.0.0.0"), true},
		{"ARP answer from nowhere", ip, arp(2, macA, "0.0.0.0"), false},
		{"ARP cut", ip, arp(2, macA, "10.0.0.1")[:30], false},
		{"own IPv6", ip, tcp6(0), true},
		{"foreign IPv6", ip, eth(etherIPv6).ipv6(protoTCP, "2001:db9::1", "::1", 20).tcp(0), false},
		{"link-local", ip, eth(etherIPv6).ipv6(protoTCP, "fe80::5", "fe80::1", 20).tcp(0), true},
		{"duplicate address detection", ip, eth(etherIPv6).ipv6(protoTCP, "::", "ff02::1", 20).tcp(0), true},
		{"advertises itself", ip, advertisement("2001:db8::7", false), true},
		{"advertises another", ip, advertisement("2001:db9::7", false), false},
		{"advertises another behind options", ip, advertisement("2001:db9::7", true), false},
		{"advertisement cut", ip, advertisement("2001:db8::7", false)[:70], false},
		{"unknown protocol", ip, eth(0x1234), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.g.Allows(tt.frame); got != tt.want {
				t.Errorf("Allows() = %v", got)
			}
		})
	}
}

func TestMulticast(t *testing.T) {
	group := func(n byte) [6]byte { return [6]byte{0x01, 0x00, 0x5e, 0, 0, n} }
	to := func(a [6]byte) frame { return append(append(frame(nil), a[:]...), tcp4(0)[6:]...) }
	var m Multicast
	if !m.Wants(to(group(1))) {
		t.Error("filters before it was asked to")
	}
	m.Filter(true)
	if m.Wants(to(group(1))) || !m.Wants(to(macB)) || !m.Wants(to([6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})) {
		t.Error("an empty list must keep out groups only")
	}
	for i := range 200 {
		if got, want := m.Add(group(byte(i))), i < mcastMax; got != want {
			t.Fatalf("Add number %d = %v", i, got)
		}
	}
	if !m.Add(group(3)) || !m.Wants(to(group(3))) || m.Wants(to(group(100))) {
		t.Error("the list is not what was added")
	}
	m.Del(group(3))
	m.Del(group(150))
	if m.Wants(to(group(3))) || !m.Add(group(150)) || m.Add(group(151)) {
		t.Error("Del takes away one address")
	}
	f := to(group(9))
	if n := testing.AllocsPerRun(10, func() { m.Wants(f) }); n > 0 {
		t.Errorf("Wants allocates: %v", n)
	}
}
