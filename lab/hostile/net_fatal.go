package hostile

import (
	"context"

	"goxl/netback/netif"
)

// fatalPacket is one that the backend must not try to make sense of.
type fatalPacket struct {
	name  string
	slots func(v *vif) []any
}

func fatalPackets() []fatalPacket {
	const extra = netif.TxExtraInfo
	return []fatalPacket{
		{"22-pieces", func(v *vif) []any { return v.pieces(22, 2200) }},
		{"chain-without-end", func(v *vif) []any {
			var all []any
			for range v.tx.Size() {
				all = append(all, v.piece(0, 1, netif.TxMoreData))
			}
			return all
		}},
		{"chain-that-stops", func(v *vif) []any { return []any{v.piece(0, 300, netif.TxMoreData)} }},
		{"across-the-page", func(v *vif) []any {
			r := v.piece(0, 200, 0)
			r.Offset = 4000
			return []any{r}
		}},
		{"beyond-the-page", func(v *vif) []any {
			r := v.piece(0, 60, 0)
			r.Offset = 65535
			return []any{r}
		}},
		{"largest-in-one-page", func(v *vif) []any { return []any{v.piece(0, 65535, 0)} }},
		{"second-across-the-page", func(v *vif) []any {
			second := v.piece(1, 4000, 0)
			second.Offset = 97
			return []any{v.piece(0, 4100, netif.TxMoreData), second}
		}},
		{"extra-of-kind-0", func(v *vif) []any { return []any{v.piece(0, 100, extra), netif.Extra{}} }},
		{"extra-of-kind-255", func(v *vif) []any { return []any{v.piece(0, 100, extra), netif.Extra{Type: 255}} }},
		{"extra-not-sent", func(v *vif) []any { return []any{v.piece(0, 100, extra)} }},
		{"extra-without-end", func(v *vif) []any {
			all := []any{v.piece(0, 100, extra)}
			for range v.tx.Size() - 1 {
				all = append(all, netif.Extra{Type: netif.ExtraGSO, More: true, GSO: netif.GSOTCPv4, SegmentSize: 1400})
			}
			return all
		}},
	}
}

// netRingMisdeeds break the rings.
func netRingMisdeeds() []misdeed {
	jump := func(ring func(*vif) *pages, to func(prod uint32) uint32) func(context.Context, *guest) (string, error) {
		return breakNet(func(ctx context.Context, v *vif) (string, error) {
			if err := v.works(); err != nil {
				return "", err
			}
			w := index(ring(v), 0)
			store(w, to(load(w)))
			if err := v.g.Notify(v.port); err != nil {
				return "", err
			}
			return v.broken(ctx)
		})
	}
	tx, rx := func(v *vif) *pages { return v.txMem }, func(v *vif) *pages { return v.rxMem }
	return []misdeed{
		{"net/index-one-too-many", jump(tx, func(p uint32) uint32 { return p + 257 })},
		{"net/index-far-ahead", jump(tx, func(p uint32) uint32 { return p + 1<<31 })},
		{"net/index-backwards", jump(tx, func(p uint32) uint32 { return p - 1 })},
		{"net/receive-index-one-too-many", jump(rx, func(p uint32) uint32 { return p + 257 })},
		{"net/receive-index-backwards", jump(rx, func(p uint32) uint32 { return p - 1 })},
	}
}
