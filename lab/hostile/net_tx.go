package hostile

import (
	"context"
	"encoding/binary"
	"fmt"

	"goxl/netback/netif"
	"goxl/xenctrl/gnttab"
)

// netMisdeeds are those against netback.
func netMisdeeds() []misdeed {
	all := []misdeed{
		{"net/bad-packets", withNet(badPackets)},
		{"net/bad-grants", withNet(netBadGrants)},
		{"net/multicast", withNet(multicast)},
		{"net/revoke", withNet(netRevoke)},
		{"net/flip", breakNet(netFlip)},
		{"net/storm", withNet(netStorm)},
		{"net/receive", withPackets(receive)},
		{"net/receive-nothing", withPackets(receiveNothing)},
		{"net/receive-revoked", withPackets(receiveRevoked)},
	}
	for _, f := range fatalPackets() {
		all = append(all, misdeed{"net/" + f.name, breakNet(func(ctx context.Context, v *vif) (string, error) {
			for i := range dataPages - rxPages {
				v.frame(i, 4096)
			}
			v.putTx(f.slots(v)...)
			if err := v.kick(v.tx); err != nil {
				return "", err
			}
			return v.broken(ctx)
		})})
	}
	return append(append(all, netRingMisdeeds()...), netNodeMisdeeds()...)
}

// pieces is a packet of n pieces of 100 bytes, whose first says total.
func (v *vif) pieces(n, total int) []any {
	var all []any
	for i := range n {
		f := netif.TxMoreData
		if i == n-1 {
			f = 0
		}
		all = append(all, v.piece(i, 100, f))
	}
	first := all[0].(netif.TxRequest)
	first.Size = uint16(total)
	all[0] = first
	return all
}

// ipv4 writes the start of a TCP or UDP packet to data page 0.
func (v *vif) ipv4(n int, proto byte) {
	v.frame(0, n)
	b := v.data.b[12:]
	binary.BigEndian.PutUint16(b, 0x0800)
	copy(b[2:], []byte{0x45, 0, byte((n - 14) >> 8), byte(n - 14), 0, 0, 0, 0, 64, proto, 0, 0, 10, 77, 0, 66, 10, 77, 0, 99})
	b[2+20+12] = 0x50 // TCP's header: five words
}

// badPackets are dropped and counted; the ring goes on.
func badPackets(_ context.Context, v *vif) (string, error) {
	gso := func(t netif.GSOType, size uint16) netif.Extra {
		return netif.Extra{Type: netif.ExtraGSO, GSO: t, SegmentSize: size}
	}
	extra := netif.TxExtraInfo
	packets := []struct {
		name  string
		slots []any
	}{
		{"no bytes", []any{v.piece(0, 0, 0)}},
		{"one byte", []any{v.piece(0, 1, 0)}},
		{"13 bytes", []any{v.piece(0, 13, 0)}},
		{"13 bytes in two pieces", v.pieces(2, 13)},
		{"pieces larger than the packet", v.pieces(5, 300)},
		{"20 pieces", v.pieces(20, 2000)},
		{"21 pieces", v.pieces(21, 2100)},
		{"offload of size 0", []any{v.piece(0, 200, extra), gso(netif.GSOTCPv4, 0)}},
		{"offload of kind 0", []any{v.piece(0, 200, extra), gso(netif.GSONone, 1400)}},
		{"offload of kind 200", []any{v.piece(0, 200, extra), gso(200, 1400)}},
		{"offload of what is no IP", []any{v.piece(1, 200, extra), gso(netif.GSOTCPv4, 1400)}},
		{"offload of TCP over IPv6 that is IPv4", []any{v.piece(0, 200, extra), gso(netif.GSOTCPv6, 1400)}},
		{"checksum of what is no IP", []any{v.piece(1, 200, netif.TxChecksumBlank)}},
		{"checksum behind the end", []any{v.piece(0, 38, netif.TxChecksumBlank)}},
	}
	for _, p := range packets {
		for i := range 24 {
			v.frame(i, 200)
		}
		v.ipv4(200, 6)
		v.putTx(p.slots...)
		if err := v.kick(v.tx); err != nil {
			return "", err
		}
		all, err := v.sent(len(p.slots))
		if err != nil {
			return "", fmt.Errorf("%s: %w", p.name, err)
		}
		for i, s := range all {
			if want := netif.StatusError; s != want && !(s == netif.StatusNull && i == 1) {
				return "", fmt.Errorf("%s: answers %v, want errors", p.name, all)
			}
		}
	}
	return fmt.Sprintf("%d packets refused", len(packets)), v.works()
}

func netBadGrants(_ context.Context, v *vif) (string, error) {
	revoked, err := v.g.share(1, gnttab.ReadWrite)
	if err != nil {
		return "", err
	}
	if err := revoked.Close(); err != nil {
		return "", err
	}
	refs := []gnttab.GrantRef{revoked.ref(0), notGranted, 1 << 31, 1<<32 - 1}
	for _, ref := range refs {
		v.putTx(netif.TxRequest{Ref: ref, Size: 200})
		if err := v.kick(v.tx); err != nil {
			return "", err
		}
		if s, err := v.sent(1); err != nil || s[0] != netif.StatusError {
			return "", fmt.Errorf("page %d: %v, %w", ref, s, err)
		}
		// The second piece is bad.
		second := v.piece(1, 100, 0)
		second.Ref = ref
		v.putTx(v.piece(0, 200, netif.TxMoreData), second)
		if err := v.kick(v.tx); err != nil {
			return "", err
		}
		if s, err := v.sent(2); err != nil || s[0] != netif.StatusError || s[1] != netif.StatusError {
			return "", fmt.Errorf("second page %d: %v, %w", ref, s, err)
		}
	}
	return fmt.Sprintf("%d pages refused", len(refs)), v.works()
}

// multicast asks for more addresses than there may be.
func multicast(ctx context.Context, v *vif) (string, error) {
	if err := v.write(ctx, "request-multicast-control", "1"); err != nil {
		return "", err
	}
	taken := 0
	for i := range 200 {
		v.putTx(v.piece(0, 0, netif.TxExtraInfo), netif.Extra{Type: netif.ExtraMcastAdd, Addr: [6]byte{1, 0, 0x5e, 1, 1, byte(i)}})
		if err := v.kick(v.tx); err != nil {
			return "", err
		}
		s, err := v.sent(2)
		if err != nil {
			return "", err
		}
		if s[0] == netif.StatusOK {
			taken++
		}
	}
	if taken != 64 {
		return "", fmt.Errorf("%d addresses of 200 taken, want 64", taken)
	}
	return "64 of 200 addresses taken", v.works()
}

// netRevoke takes pages back while packets are read from them.
func netRevoke(_ context.Context, v *vif) (string, error) {
	ok := 0
	const rounds = 60
	for i := range rounds {
		p, err := v.g.share(1, gnttab.ReadWrite)
		if err != nil {
			return "", err
		}
		copy(p.b, v.data.b[:200])
		v.frame(0, 200)
		copy(p.b, v.data.b[:200])
		v.putTx(netif.TxRequest{Ref: p.ref(0), Size: 200})
		if err := v.kick(v.tx); err != nil {
			return "", err
		}
		for range i * 200 {
			load(index(v.txMem, 2))
		}
		if err := p.Close(); err != nil {
			return "", err
		}
		s, err := v.sent(1)
		if err != nil {
			return "", err
		}
		if s[0] == netif.StatusOK {
			ok++
		}
	}
	return fmt.Sprintf("%d of %d packets came through", ok, rounds), v.works()
}

// netFlip changes slots while they are read. What comes of it, an answer or a closed
// device, is the flipper's own luck; then all must be as before.
func netFlip(ctx context.Context, v *vif) (string, error) {
	const flipSessions = 3
	answers, closes := 0, 0
	for range flipSessions {
		err := during(func(n int) {
			slot := 64 + n*7%256*netif.TxSlotSize
			v.txMem.b[slot+n*5%netif.TxSlotSize] ^= byte(n >> 3)
		}, func() error {
			for range 10 {
				for range v.tx.Free() / 3 {
					v.frame(0, 100)
					v.putTx(v.pieces(3, 300)...)
				}
				if err := v.kick(v.tx); err != nil {
					return err
				}
				have := 0
				err := until("answers, or the end", func() (bool, error) {
					var b [netif.TxSlotSize]byte
					for {
						if ok, err := v.tx.Next(b[:]); err != nil {
							return false, err
						} else if !ok {
							break
						}
						have++
					}
					s, err := v.g.store.Read(ctx, v.back+"/state")
					return v.tx.Free() == v.tx.Size() || s != connected, err
				})
				answers += have
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return "", err
		}
		if s, err := v.g.store.Read(ctx, v.back+"/state"); err != nil {
			return "", err
		} else if s != connected {
			closes++
		}
		w, err := v.g.connectNet(ctx)
		if err != nil {
			return "", err
		}
		if err := v.close(); err != nil {
			return "", err
		}
		*v = *w
	}
	return fmt.Sprintf("%d answers, closed %d times of %d", answers, closes, flipSessions), v.works()
}

func netStorm(_ context.Context, v *vif) (string, error) {
	n, err := v.g.storm(v.port)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d events", n), v.works()
}
