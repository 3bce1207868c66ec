package dm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"goxl/domains/host"
	"goxl/domains/logs"
	"goxl/domains/undo"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// Defaults of Options.
const (
	StartTimeout = 60 * time.Second // LIBXL_DEVICE_MODEL_START_TIMEOUT
	QMPTimeout   = 10 * time.Second // LIBXL_QMP_CMD_TIMEOUT
)

// ErrNotRunning says that a guest has no device model.
var ErrNotRunning = errors.New("device model is not running")

// Options is what Models work with. Store and Host are needed; they stay the
// caller's.
type Options struct {
	Store *xenstore.Client
	Host  *host.Host
	Log   *logs.Logger // nil is silent

	StartTimeout, QMPTimeout time.Duration // zero is the default
}

// Models are the device models of this domain's guests. Methods are safe for
// concurrent use.
type Models struct{ Options }

// New returns the models of the host.
func New(o Options) *Models {
	if o.StartTimeout == 0 {
		o.StartTimeout = StartTimeout
	}
	if o.QMPTimeout == 0 {
		o.QMPTimeout = QMPTimeout
	}
	return &Models{o}
}

// Start starts a guest's QEMU and returns when it serves the devices whose nodes
// are written, and when its displays are in xenstore. A process that does not
// come so far is ended. The process outlives us.
func (m *Models) Start(ctx context.Context, c Config) (err error) {
	var u undo.Stack
	defer u.Rollback(ctx, &err)
	u.Push("start device model", func(ctx context.Context) error { return m.Stop(ctx, c.Dom) })
	p, err := m.spawn(ctx, &c)
	if err != nil {
		return fmt.Errorf("device model of domain %d: %w", c.Dom, err)
	}
	if err := m.awaitNode(ctx, statePath(c.Dom, "state"), p); err != nil {
		return fmt.Errorf("device model of domain %d: %w; its log is %s", c.Dom, err,
			filepath.Join(m.Host.Log, "qemu-dm-"+c.Name+".log"))
	}
	if err := m.publish(ctx, &c); err != nil {
		return fmt.Errorf("device model of domain %d: %w", c.Dom, err)
	}
	u.Commit()
	m.Log.Info("device model started", logs.Uint16("dom", uint16(c.Dom)), logs.Int("pid", p.pid))
	return nil
}

func (m *Models) spawn(ctx context.Context, c *Config) (*process, error) {
	binary, err := m.findBinary(c.Binary)
	if err != nil {
		return nil, err
	}
	args, err := c.args(m.Host.Run)
	if err != nil {
		return nil, err
	}
	if err := m.Store.Mkdir(ctx, statePath(c.Dom, "")); err != nil {
		return nil, err
	}
	if vnc := c.vnc(); vnc != nil && vnc.Password != "" {
		if err := m.notePassword(ctx, c.Dom, vnc.Password); err != nil {
			return nil, err
		}
	}
	log, err := m.Host.OpenLog("qemu-dm-" + c.Name)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	m.Log.Debug("device model", logs.String("binary", binary), logs.Strings("args", args))
	p, err := startProcess(m.Host, binary, args, c.env(os.Environ()), log)
	if err != nil {
		return nil, err
	}
	if err := m.Store.Write(ctx, pidPath(c.Dom), strconv.Itoa(p.pid)); err != nil {
		return nil, errors.Join(err, m.killNow(p.pid)) // nobody else would find it
	}
	return p, nil
}

// notePassword puts the VNC password where tools of old look for it.
func (m *Models) notePassword(ctx context.Context, dom DomID, password string) error {
	vm, err := m.Store.Read(ctx, fmt.Sprintf("/local/domain/%d/vm", dom))
	if err != nil {
		return err
	}
	return m.Store.Write(ctx, vm+"/vncpasswd", password)
}

// awaitNode waits until a process that we started says so at path, or ends.
func (m *Models) awaitNode(ctx context.Context, path string, p *process) error {
	ctx, cancel := context.WithTimeoutCause(ctx, m.StartTimeout, fmt.Errorf("not ready after %v", m.StartTimeout))
	defer cancel()
	alive, ended := context.WithCancelCause(ctx)
	defer ended(nil)
	stop := p.onExit(func(err error) { ended(fmt.Errorf("ended before it was ready: %w", err)) })
	defer stop()
	_, err := m.Store.Await(alive, path, func(v string, _ bool) bool { return v == "running" })
	return err
}

// publish asks QEMU for what others need to know and sets the VNC password.
func (m *Models) publish(ctx context.Context, c *Config) error {
	ctx, cancel := context.WithTimeoutCause(ctx, m.QMPTimeout, fmt.Errorf("no answer within %v", m.QMPTimeout))
	defer cancel()
	mon, err := m.Dial(ctx, c.Dom, c.UUID)
	if err != nil {
		return err
	}
	defer mon.Close()
	dir := fmt.Sprintf("/local/domain/%d/", c.Dom)
	ttys, err := mon.SerialTTYs(ctx)
	if err != nil {
		return err
	}
	for n, tty := range ttys {
		if err := m.Store.Write(ctx, fmt.Sprintf("%sserial/%d/tty", dir, n), tty); err != nil {
			return err
		}
	}
	vnc := c.vnc()
	if vnc == nil {
		return nil
	}
	at, err := mon.VNC(ctx)
	if err != nil {
		return err
	}
	var b xenstore.Batch
	if at.Enabled {
		b.Write(dir+"console/vnc-listen", at.Host)
		b.Write(dir+"console/vnc-port", at.Service)
	}
	if vnc.Password != "" {
		err := mon.Execute(ctx, "change-vnc-password", map[string]string{"password": vnc.Password}, nil)
		if err != nil {
			return err
		}
		b.Write(dir+"console/vnc-pass", vnc.Password)
	}
	return m.Store.Send(ctx, &b)
}

// Running reports whether guest dom has a device model on record.
func (m *Models) Running(ctx context.Context, dom DomID) (bool, error) {
	pid, err := m.Store.Exists(ctx, pidPath(dom))
	if pid || err != nil {
		return pid, err
	}
	return m.Store.Exists(ctx, fmt.Sprintf("/local/domain/%d/image/device-model-domid", dom))
}

// Dial connects to the QEMU of guest dom. It serves one client at a time, so a
// lock keeps the other toolstacks out until the monitor is closed.
func (m *Models) Dial(ctx context.Context, dom DomID, uuid abi.UUID) (*Monitor, error) {
	lock, err := m.Host.Lock(ctx, filepath.Join(m.Host.Lib, fmt.Sprintf("userdata-l.%d.%s.qmp-socket-lock", dom, uuid)))
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", qmpPath(m.Host.Run, dom))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to qemu: %w: %w", ErrNotRunning, err), lock.Unlock())
	}
	return NewMonitor(ctx, conn, func() { lock.Unlock() })
}

// findBinary returns the QEMU to run.
func (m *Models) findBinary(override string) (string, error) {
	names := binaries
	if override != "" {
		names = []string{override}
	}
	for _, n := range names {
		if fi, err := m.Host.Stat(n); err == nil && fi.Mode()&0o111 != 0 && !fi.IsDir() {
			return n, nil
		}
	}
	return "", fmt.Errorf("no executable QEMU for Xen at %q; install qemu-system-xen or set device_model_override: %w", names, os.ErrNotExist)
}

func statePath(dom DomID, key string) string {
	path := fmt.Sprintf("/local/domain/0/device-model/%d", dom)
	if key != "" {
		path += "/" + key
	}
	return path
}

func pidPath(dom DomID) string {
	return fmt.Sprintf("/local/domain/%d/image/device-model-pid", dom)
}
