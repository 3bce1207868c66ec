package domains

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"goxl/domains/config"
	"goxl/domains/device"
	"goxl/domains/dm"
	"goxl/domains/host"
	"goxl/domains/image/cache"
	"goxl/domains/logs"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// Options say how to open a Manager. The zero value opens the host's own Xen
// and xenstore, and uses the built-in defaults of xl.conf.
type Options struct {
	Logger *logs.Logger // nil is silent
	Conf   *config.Conf // xl.conf; nil means its defaults
	Paths  Paths        // where the toolstack keeps its files

	// Xen and Store are used instead of the host's own when set. They stay the
	// caller's to close.
	Xen   *xenctrl.Handle
	Store *xenstore.Client
	// Host does what touches the host's kernel: loop devices, bridges, scripts.
	// Nil means the real one.
	Host *host.Host
}

// Manager creates, finds, drives and destroys domains, beside any other
// toolstack that keeps to libxl's files, locks and xenstore layout. It holds no
// state of its own about domains: each method asks Xen and xenstore. All
// methods are safe for concurrent use.
type Manager struct {
	logger  *logs.Logger
	conf    *config.Conf
	paths   Paths
	xen     *xenctrl.Handle
	store   *xenstore.Client
	host    *host.Host
	devices *device.Set
	models  *dm.Models
	kernels *cache.Cache
	reuse   time.Duration // how long a domain id rests
	pace    pace          // of domains that change their size
	// ballooning is held with the lock file of xl, which excludes other processes
	// only.
	ballooning sync.Mutex
	close      []func() error
}

// storeWait is how long Open waits for a xenstore daemon that is still starting.
const storeWait = 10 * time.Second

// Open connects to Xen and to xenstore. It waits up to 10 s for a xenstore daemon
// that is still starting.
func Open(ctx context.Context, o Options) (_ *Manager, err error) {
	m := &Manager{logger: o.Logger, conf: o.Conf, xen: o.Xen, store: o.Store, host: o.Host}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if m.conf == nil {
		m.conf = config.DefaultConf()
	}
	if m.host == nil {
		m.host = host.New(host.DefaultPaths())
	}
	m.reuse, m.pace = reuseTimeout(os.Getenv), usualPace
	if m.xen == nil {
		if m.xen, err = xenctrl.Open(); err != nil {
			return nil, fail(Hypervisor, 0, "open Xen's control interface", err)
		}
		m.close = append(m.close, m.xen.Close)
	}
	if m.store == nil {
		if m.store, err = dialStore(ctx, m.host); err != nil {
			return nil, &Error{Kind: Store, Op: "connect to xenstore", Err: err, Hint: "is xenstored running?"}
		}
		m.close = append(m.close, m.store.Close)
	}
	v := m.xen.Version()
	o.Paths.KernelCache = cmp.Or(o.Paths.KernelCache, m.conf.KernelCache.Value())
	m.paths = o.Paths.orDefault(m.host.Lib, fmt.Sprintf("%d.%d", v.Major, v.Minor))
	m.kernels = cache.New(m.cacheOptions())
	m.close = append(m.close, m.kernels.Close)
	m.models = dm.New(dm.Options{Store: m.store, Host: m.host, Log: m.logger})
	m.devices = device.New(device.Options{Store: m.store, Host: m.host, Layout: device.LayoutOf(v.Minor), Log: m.logger, State: m.guestState})
	return m, nil
}

func dialStore(ctx context.Context, h *host.Host) (*xenstore.Client, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, storeWait, fmt.Errorf("no answer within %s", storeWait))
	defer cancel()
	return xenstore.Dial(ctx, xenstore.WithWait(), xenstore.WithTurns(h.Turn))
}

func (m *Manager) cacheOptions() cache.Options {
	o := cache.Options{Dir: m.paths.KernelCache, Report: func(err error) { m.logger.Warn("kernel cache not used", logs.Error(err)) }}
	if o.Dir == "off" {
		o.Dir = ""
	}
	return o
}

// Xen returns the hypervisor handle, for what needs no knowledge of domains. It is
// valid until Close.
func (m *Manager) Xen() *xenctrl.Handle { return m.xen }

// Store returns the xenstore client. It is valid until Close.
func (m *Manager) Store() *xenstore.Client { return m.store }

// Devices returns the device layer. It is valid until Close.
func (m *Manager) Devices() *device.Set { return m.devices }

// Host returns the machine that we run on.
func (m *Manager) Host() *host.Host { return m.host }

// Conf returns xl.conf as the Manager knows it. It is not to be changed.
func (m *Manager) Conf() *config.Conf { return m.conf }

// Paths returns the places that the Manager uses.
func (m *Manager) Paths() Paths { return m.paths }

// Close releases what Open opened. It may be called twice.
func (m *Manager) Close() error {
	var errs []error
	for i := len(m.close) - 1; i >= 0; i-- {
		errs = append(errs, m.close[i]())
	}
	m.close = nil
	return errors.Join(errs...)
}

// guestState tells the device layer whether a guest can answer it.
func (m *Manager) guestState(_ context.Context, id abi.DomID) (device.GuestState, error) {
	d, err := m.info(id)
	if errors.Is(err, NoDomain) {
		return device.GuestState{Dying: true}, nil
	}
	return device.GuestState{Paused: d.Paused, Dying: d.Dying, Shutdown: d.Shutdown}, err
}
