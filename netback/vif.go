package netback

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"goxl/backends"
	"goxl/domains/logs"
	"goxl/netback/packet"
)

// hotplugWait is how long a connecting guest waits for the hotplug script, so that
// its first frames find the bridge.
const hotplugWait = 10 * time.Second

// closeWait bounds what is asked of xenstore while a device closes.
const closeWait = 5 * time.Second

// vif is the serving half of a guest's network interface.
type vif struct {
	d     *Driver
	node  *backends.Node
	iface iface
	log   *logs.Logger
	mcast *packet.Multicast
	rate  bucket
	bad   string // rate that could not be read, complained of

	mu       sync.Mutex
	counters *counters
	session  *session
}

// Features implements backends.Device.
func (v *vif) Features(context.Context) ([]backends.Key, error) {
	return []backends.Key{
		backends.Flag("feature-sg", true),
		backends.Flag("feature-gso-tcpv4", true),
		backends.Flag("feature-gso-tcpv6", true),
		backends.Flag("feature-ipv6-csum-offload", true),
		backends.Flag("feature-rx-copy", true),
		backends.Flag("feature-rx-flip", false),
		backends.Flag("feature-multicast-control", true),
		backends.Flag("feature-dynamic-multicast-control", true),
		backends.Flag("feature-split-event-channels", true),
		backends.Flag("feature-ctrl-ring", true),
		backends.Uint("multi-queue-max-queues", uint64(v.d.MaxQueues)),
	}, nil
}

// Connect implements backends.Device.
func (v *vif) Connect(ctx context.Context, l *backends.Link) ([]backends.Key, error) {
	if err := v.awaitHotplug(ctx); err != nil {
		return nil, err
	}
	return nil, v.connect(ctx, l, false)
}

// Reattach implements backends.Device.
func (v *vif) Reattach(ctx context.Context, l *backends.Link) error { return v.connect(ctx, l, true) }

// awaitHotplug waits for the hotplug script, which says so in hotplug-status. One
// that never does is waited for once and for a while; toolstacks that do not tell
// leave no such node.
func (v *vif) awaitHotplug(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, v.d.hotplugWait)
	defer cancel()
	_, err := v.node.Store().Await(short, v.node.BackPath()+"/hotplug-status", func(s string, exists bool) bool {
		return !exists || s != ""
	})
	if err != nil && ctx.Err() == nil && short.Err() != nil {
		v.log.Warn("no word of the hotplug script, going on without", logs.Duration("waited", v.d.hotplugWait))
		return nil
	}
	return err
}

func (v *vif) connect(ctx context.Context, l *backends.Link, resumed bool) (err error) {
	f, err := readFront(ctx, l, v.d.MaxQueues)
	if err != nil {
		return err
	}
	back, err := v.node.Back(ctx, "mac", "ip")
	if err != nil {
		return err
	}
	guard, err := newGuard(v.d.Antispoof, back["mac"], back["ip"])
	if err != nil {
		return err
	}
	v.mcast = &packet.Multicast{}
	if err := v.Changed(ctx); err != nil {
		return err
	}
	s := &session{
		dom: l.Dom(), accepts: f.accepts, guard: guard, mcast: v.mcast,
		rate: &v.rate, counters: &counters{}, resumed: resumed,
	}
	if s.journal, err = openJournal(v.journalPath(), vifJournalSize, !resumed); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	taps, err := v.iface.Attach(len(f.queues), offloads(f.accepts))
	if err != nil {
		return err
	}
	wait := v.d.patient
	if !f.rxNotify {
		wait = v.d.polling
	}
	if err := s.connect(l, f, taps, wait); err != nil {
		return err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.session, v.counters = s, s.counters
	v.node.News(v.log, "guest connected", logs.Int("queues", len(f.queues)), logs.String("accepts", fmt.Sprintf("%+v", f.accepts)), logs.Bool("resumed", resumed))
	return nil
}

// Serve implements backends.Device.
func (v *vif) Serve(ctx context.Context) error {
	n := len(v.session.queues)
	v.d.Threads.Change(n)
	err := v.session.serve(ctx)
	v.d.Threads.Change(-n)
	v.node.News(v.log, "guest no longer served", logs.String("carried", fmt.Sprintf("%+v", v.Stats())))
	if errors.Is(err, packet.ErrProtocol) {
		err = guestFault{err}
	}
	return errors.Join(err, v.disconnect())
}

// guestFault marks an error as the frontend's: it is told in the node "error", and the
// host's half of the vif is not called broken for it.
type guestFault struct{ error }

func (f guestFault) Is(target error) bool { return target == backends.ErrFrontend }
func (f guestFault) Unwrap() error        { return f.error }

// Stats returns what the vif has carried since its guest connected.
func (v *vif) Stats() Stats {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.counters == nil {
		return Stats{}
	}
	return v.counters.stats()
}

func (v *vif) disconnect() error {
	v.mu.Lock()
	s := v.session
	v.session = nil
	v.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.close()
}

// Release implements backends.Device.
func (v *vif) Release() error {
	err := v.disconnect()
	if p := v.journalPath(); p != "" {
		if e := os.Remove(p); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// Close implements backends.Device. The interface stays for the next process while
// the device's nodes are there.
func (v *vif) Close() error {
	err := v.disconnect()
	ctx, cancel := context.WithTimeout(context.Background(), closeWait)
	defer cancel()
	if k, e := v.node.Back(ctx, "frontend-id"); e != nil || len(k) > 0 {
		return errors.Join(err, e)
	}
	return errors.Join(err, v.Release(), v.iface.Remove())
}

// FrontKeys implements backends.Watcher.
func (v *vif) FrontKeys() []string { return []string{"request-multicast-control"} }

// Changed implements backends.Watcher: the rate limit and the choice to filter
// multicast may change while the guest is connected.
func (v *vif) Changed(ctx context.Context) error {
	back, err := v.node.Back(ctx, "rate")
	if err != nil {
		return err
	}
	if l, err := parseLimit(back["rate"]); err == nil {
		v.rate.set(l, time.Now())
	} else if v.bad != back["rate"] {
		v.bad = back["rate"]
		v.log.Warn("rate limit stays as it was", logs.Error(err))
	}
	if v.mcast == nil {
		return nil
	}
	s, err := v.node.Store().Read(ctx, v.node.FrontPath()+"/request-multicast-control")
	if err != nil {
		s = "" // not there, or not ours to read
	}
	n, err := strconv.ParseUint(s, 10, 32)
	v.mcast.Filter(err == nil && n != 0)
	return nil
}

func (v *vif) journalPath() string {
	if v.d.StateDir == "" {
		return ""
	}
	return filepath.Join(v.d.StateDir, fmt.Sprintf("%d-%d", v.node.ID.Dom, v.node.ID.Dev))
}

// newGuard makes the rules of what the guest may send. The addresses are from the
// backend's nodes, which no guest can write.
func newGuard(a Antispoof, mac, ips string) (packet.Guard, error) {
	var g packet.Guard
	if a == AntispoofOff {
		return g, nil
	}
	hw, err := net.ParseMAC(mac)
	if err != nil || len(hw) != 6 {
		return g, fmt.Errorf("the vif's MAC address %.64q is none, and without there is no telling what to let through", mac)
	}
	g.CheckMAC, g.MAC = true, [6]byte(hw)
	if a == AntispoofMAC {
		return g, nil
	}
	for _, s := range strings.Fields(ips) {
		p, err := netip.ParsePrefix(s)
		if addr, e := netip.ParseAddr(s); e == nil {
			p, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return g, fmt.Errorf("ip %.64q is no address or network", s)
		}
		g.IPs = append(g.IPs, p)
	}
	return g, nil
}
