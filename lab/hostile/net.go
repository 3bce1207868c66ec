package hostile

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"

	"goxl/backends/ring"
	"goxl/netback/netif"
	"goxl/xenctrl/gnttab"
)

// vif0 is the network interface of this guest.
const vif0 = "vif/0"

// vif is a network interface that we are connected to.
type vif struct {
	*device
	tx, rx       *ring.Front
	txMem, rxMem *pages
	port         gnttab.Port
	data         *pages // for packets
	nextID       uint16
}

const (
	dataPages  = 32 // of them rxPages at the end are for packets that come
	rxPages    = 8
	etherLocal = 0x88B5 // IEEE 802: for local experiments
)

// connectNet connects as a driver does.
func (g *guest) connectNet(ctx context.Context) (_ *vif, err error) {
	v := &vif{}
	if v.device, err = g.device(ctx, vif0); err != nil {
		return nil, err
	}
	if err := v.reset(ctx); err != nil {
		return nil, err
	}
	for _, p := range []struct {
		to *(*pages)
		n  int
	}{{&v.txMem, 1}, {&v.rxMem, 1}, {&v.data, dataPages}} {
		if *p.to, err = g.share(p.n, gnttab.ReadWrite); err != nil {
			return nil, err
		}
	}
	if v.tx, err = ring.NewFront(v.txMem.b, netif.TxSlotSize); err != nil {
		return nil, err
	}
	if v.rx, err = ring.NewFront(v.rxMem.b, netif.RxSlotSize); err != nil {
		return nil, err
	}
	if v.port, err = g.BindUnbound(domain0); err != nil {
		return nil, err
	}
	err = v.write(ctx, append(v.nodes(), "state", connected)...)
	if err != nil {
		return nil, err
	}
	_, err = v.await(ctx, connected)
	return v, err
}

// nodes is what a driver says of its rings.
func (v *vif) nodes() []string {
	return []string{"tx-ring-ref", text(v.txMem.ref(0)), "rx-ring-ref", text(v.rxMem.ref(0)), "event-channel", text(v.port),
		"request-rx-copy", "1", "feature-rx-notify", "1", "feature-sg", "1", "feature-gso-tcpv4", "1"}
}

func (v *vif) close() error {
	return errors.Join(v.g.Unbind(v.port), v.txMem.Close(), v.rxMem.Close(), v.data.Close())
}

// netMisdeed is what is done to a connected interface.
type netMisdeed func(context.Context, *vif) (string, error)

// withNet is as withDisk, and breakNet as breakDisk.
func withNet(do netMisdeed) func(context.Context, *guest) (string, error) {
	return func(ctx context.Context, g *guest) (_ string, err error) {
		if g.vif == nil {
			if g.vif, err = g.connectNet(ctx); err != nil {
				g.vif = nil
				return "", fmt.Errorf("connect: %w", err)
			}
		}
		said, err := do(ctx, g.vif)
		if err != nil {
			err = errors.Join(err, g.dropNet())
		}
		return said, err
	}
}

func breakNet(do netMisdeed) func(context.Context, *guest) (string, error) {
	return func(ctx context.Context, g *guest) (said string, err error) {
		if err := g.dropNet(); err != nil {
			return "", err
		}
		v, err := g.connectNet(ctx)
		if err != nil {
			return "", fmt.Errorf("connect: %w", err)
		}
		defer func() { err = errors.Join(err, v.close()) }()
		return do(ctx, v)
	}
}

func (g *guest) dropNet() error {
	v := g.vif
	if v == nil {
		return nil
	}
	g.vif = nil
	return v.close()
}

// netComesBack makes sure that the interface can still be used.
func (g *guest) netComesBack(ctx context.Context, _ string) error {
	_, err := withNet(func(_ context.Context, v *vif) (string, error) { return "", v.works() })(ctx, g)
	return err
}

func (v *vif) kick(r *ring.Front) error {
	r.Publish()
	return v.g.Notify(v.port)
}

// index is one of the first four words of a ring.
func index(ring *pages, i int) *uint32 { return (*uint32)(unsafe.Pointer(&ring.b[4*i])) }

// frame writes an Ethernet frame of n bytes for nobody to data page i.
func (v *vif) frame(i, n int) {
	b := v.data.b[i*4096 : i*4096+n]
	clear(b)
	copy(b, []byte{0x02, 0, 0, 0, 0, 0x99, 0x00, 0x16, 0x3e, 0x66, 0x66, 0x66})
	if n >= 14 {
		binary.BigEndian.PutUint16(b[12:], etherLocal)
	}
}

// piece is a request for n bytes at the start of data page i.
func (v *vif) piece(i, n int, f netif.TxFlags) netif.TxRequest {
	return netif.TxRequest{Ref: v.data.ref(i), Size: uint16(n), Flags: f}
}

// putTx puts slots on the ring: netif.TxRequest and netif.Extra.
func (v *vif) putTx(slots ...any) {
	for _, s := range slots {
		var b [netif.TxSlotSize]byte
		switch s := s.(type) {
		case netif.TxRequest:
			s.ID = v.nextID
			v.nextID++
			s.Put(b[:])
		case netif.Extra:
			s.Put(b[:])
		case [netif.TxSlotSize]byte:
			b = s
		}
		v.tx.Put(b[:])
	}
}

// sent waits for n answers and returns their statuses.
func (v *vif) sent(n int) ([]netif.Status, error) {
	var all []netif.Status
	return all, until(fmt.Sprintf("%d answers", n), func() (bool, error) {
		for len(all) < n {
			var b [netif.TxSlotSize]byte
			ok, err := v.tx.Next(b[:])
			if err != nil || !ok {
				return false, err
			}
			if [8]byte(b[4:]) != [8]byte{} {
				return false, fmt.Errorf("an answer with % x behind it", b[4:])
			}
			all = append(all, netif.ParseTxResponse(b[:]).Status)
		}
		return true, nil
	})
}

// works makes sure that packets still come and go.
func (v *vif) works() error {
	v.frame(0, 100)
	v.putTx(v.piece(0, 100, 0))
	if err := v.kick(v.tx); err != nil {
		return err
	}
	s, err := v.sent(1)
	if err != nil || s[0] != netif.StatusOK {
		return fmt.Errorf("then a good packet gets %v, %w", s, errors.Join(err))
	}
	return nil
}

// lend gives the backend pages for n packets.
func (v *vif) lend(n int, ref func(i int) gnttab.GrantRef) error {
	for i := range n {
		var b [netif.RxSlotSize]byte
		netif.RxRequest{ID: uint16(i), Ref: ref(i)}.Put(b[:])
		v.rx.Put(b[:])
	}
	return v.kick(v.rx)
}

// received waits for n packets' slots. The test sends some while PacketsNode is there.
func (v *vif) received(n int) ([]netif.RxResponse, error) {
	var all []netif.RxResponse
	return all, until(fmt.Sprintf("%d packets", n), func() (bool, error) {
		for len(all) < n {
			var b [netif.RxSlotSize]byte
			ok, err := v.rx.Next(b[:])
			if err != nil || !ok {
				return false, err
			}
			all = append(all, netif.ParseRxResponse(b[:]))
		}
		return true, nil
	})
}

// broken is as a disk's.
func (v *vif) broken(ctx context.Context) (string, error) {
	why, err := v.refused(ctx)
	if err != nil {
		return "", err
	}
	return "closed: " + why, v.reset(ctx)
}

// during calls f again and again beside do.
func during(f func(n int), do func() error) error {
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; !stop.Load(); n++ {
			f(n)
			if n%256 == 255 {
				time.Sleep(time.Millisecond)
			}
		}
	}()
	err := do()
	stop.Store(true)
	<-done
	return err
}
