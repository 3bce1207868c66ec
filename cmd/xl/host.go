package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"go.uber.org/zap/zapcore"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/domains/cpupool"
	files "goxl/domains/host"
	"goxl/domains/logs"
	"goxl/xenctrl"
	"goxl/xenstore"
)

// xlConf is where the toolstack's own settings are.
const xlConf = "/etc/xen/xl.conf"

// host is the Xen host that commands act on.
type host struct {
	release release
	xen     *xenctrl.Handle
	store   *xenstore.Client
	domains *domains.Manager
	conf    *config.Conf
	files   *files.Host // nil: the usual places
	paths   domains.Paths
	lockDir string // of the console client's locks
}

// openHost opens Xen's control interface and xenstore, which is all that a
// command may need.
func openHost(ctx context.Context) (*host, error) {
	xen, err := xenctrl.Open()
	if err != nil {
		return nil, &noHost{"no-xen", "open Xen's control interface", err,
			"run this as root in dom0; on a machine without Xen there is nothing to control"}
	}
	store, err := xenstore.Dial(ctx, xenstore.WithTurns(files.New(files.DefaultPaths()).Turn))
	if err != nil {
		return nil, &noHost{"xenstore", "connect to xenstore", errors.Join(err, xen.Close()), "is xenstored running?"}
	}
	return newHost(xen, store), nil
}

func newHost(xen *xenctrl.Handle, store *xenstore.Client) *host {
	return &host{release: clampRelease(xen.Version().Minor), xen: xen, store: store,
		conf: config.DefaultConf(), lockDir: "/var/lock"}
}

// manage opens the Manager, with the settings that were read.
func (h *host) manage(ctx context.Context, g globals) (err error) {
	h.domains, err = domains.Open(ctx, domains.Options{Logger: newLogger(g), Conf: h.conf, Xen: h.xen, Store: h.store, Host: h.files, Paths: h.paths})
	return err
}

// close closes everything, in the reverse order.
func (h *host) close() error {
	var err error
	if h.domains != nil {
		err = h.domains.Close()
	}
	return errors.Join(err, h.store.Close(), h.xen.Close())
}

// pools are the host's CPU pools.
func (h *host) pools() *cpupool.Pools { return cpupool.New(h.xen, h.store) }

// label is the security label of sid; "" when this Xen has none.
func (h *host) label(sid uint32) string {
	label, err := h.xen.SIDLabel(sid)
	if err != nil {
		return ""
	}
	return label
}

// stats is what --stats prints: the totals, then the hypercalls by name.
func (h *host) stats() string {
	s := h.xen.Stats()
	hypercalls, syscalls := s.Total()
	var b strings.Builder
	fmt.Fprintf(&b, "hypercalls: %d, system calls for Xen: %d\n", hypercalls, syscalls)
	for _, name := range s.Names() {
		fmt.Fprintf(&b, "%8d %s\n", s.Hypercalls[name], name)
	}
	return b.String()
}

// newLogger is the log of what the toolstack does, for -v: on stderr, a line for
// each entry.
func newLogger(g globals) *logs.Logger {
	if g.verbosity == 0 {
		return nil
	}
	level := zapcore.InfoLevel
	if g.verbosity > 1 {
		level = zapcore.DebugLevel
	}
	form := zapcore.EncoderConfig{
		TimeKey: "time", LevelKey: "level", MessageKey: "message",
		EncodeTime: zapcore.ISO8601TimeEncoder, EncodeLevel: zapcore.CapitalLevelEncoder, EncodeDuration: zapcore.StringDurationEncoder,
	}
	if !g.timestamps {
		form.TimeKey = ""
	}
	return logs.New(zapcore.NewCore(zapcore.NewConsoleEncoder(form), zapcore.Lock(os.Stderr), level))
}

// noHost is why there is no host to act on.
type noHost struct {
	code, op string
	err      error
	hint     string
}

func (e *noHost) Error() string { return fmt.Sprintf("%s: %v (%s)", e.op, e.err, e.hint) }
func (e *noHost) Unwrap() error { return e.err }
func (e *noHost) Code() string  { return e.code }

// sysfsRelease is the release that the kernel says is running, or the newest
// one we know when it says nothing.
func sysfsRelease() release {
	b, err := os.ReadFile("/sys/hypervisor/version/minor")
	n, perr := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || perr != nil {
		return newestRelease
	}
	return clampRelease(n)
}

// clampRelease takes a minor number of Xen for the nearest one we know.
func clampRelease(minor int) release {
	return min(max(release(minor), oldestRelease), newestRelease)
}
