package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

// Host is one running machine of a lab: Xen, with dom0 reachable over ssh. Its
// methods may be called from several goroutines.
type Host struct {
	Number  int
	Image   *Image
	SSHPort int    // on 127.0.0.1
	PID     int    // QEMU's
	Store   string // "oxenstored" or "xenstored"

	consoleSocket, consoleLog string

	console *console
	done    chan struct{} // closed when QEMU is gone; nil for a host of another process
	waited  error         // of QEMU, once done is closed

	mu   sync.Mutex
	conn *ssh.Client
}

var errGone = errors.New("the machine has ended")

// bootTime is what a boot to readiness takes on two emulated cores.
const bootTime = 30 * time.Second

// start runs QEMU and returns when its console is connected. With detached the
// machine outlives this process, otherwise it dies with it.
func (m *machine) start(ctx context.Context, detached bool) (*Host, error) {
	h := &Host{
		Number: m.number, Image: m.image, SSHPort: m.sshPort, Store: m.store,
		consoleSocket: m.consoleSocket(), consoleLog: m.consoleLog(),
		done: make(chan struct{}),
	}
	errs, err := os.CreateTemp(m.dir, "qemu*.err")
	if err != nil {
		return nil, err
	}
	defer errs.Close()
	cmd := exec.Command(m.qemu.path, append(m.qemu.args, m.args()...)...)
	cmd.Env = m.qemu.env
	cmd.Stdout, cmd.Stderr = errs, errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if !detached {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start host %d: %w", m.number, err)
	}
	h.PID = cmd.Process.Pid
	go func() {
		h.waited = cmd.Wait()
		close(h.done)
	}()
	conn, err := h.connectConsole(ctx)
	if err != nil {
		h.kill()
		said, _ := os.ReadFile(errs.Name())
		return nil, fmt.Errorf("start host %d: %w: %s", m.number, err, tail(strings.TrimSpace(string(said)), 5))
	}
	h.console = readConsole(conn, fmt.Sprintf("goxl-lab: host %d ready", m.number))
	return h, nil
}

// connectConsole waits for QEMU to open its console socket: it boots only once
// somebody listens there.
func (h *Host) connectConsole(ctx context.Context) (net.Conn, error) {
	for {
		conn, err := net.Dial("unix", h.consoleSocket)
		if err == nil {
			return conn, nil
		}
		select {
		case <-h.done:
			return nil, fmt.Errorf("qemu: %w", errors.Join(errGone, h.waited))
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ready waits until dom0 has started its daemons and answers over ssh. The
// error of a host that does not come up has the console's last lines.
func (h *Host) ready(ctx context.Context) error {
	select {
	case <-h.console.ready:
	case <-h.console.failed:
		time.Sleep(time.Second) // let it say the rest
		return h.explain("crashed")
	case <-h.done:
		return h.explain("ended")
	case <-ctx.Done():
		return h.explain("did not come up: " + ctx.Err().Error())
	}
	if _, err := h.client(ctx); err != nil {
		return h.explain(err.Error())
	}
	return nil
}

func (h *Host) explain(what string) error {
	return fmt.Errorf("host %d %s; its console said last:\n%s", h.Number, what, h.console.tail(25))
}

// kill ends QEMU and waits for it. What the host wrote is lost, by design.
func (h *Host) kill() {
	h.hangUp()
	if h.done == nil {
		return // another process's: the registry ends it
	}
	select {
	case <-h.done:
	default:
		syscall.Kill(h.PID, syscall.SIGKILL)
		<-h.done
	}
}

func (h *Host) hangUp() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.conn != nil {
		h.conn.Close()
		h.conn = nil
	}
}

// gone is closed when the machine has ended; nil when that cannot be known.
func (h *Host) gone() <-chan struct{} { return h.done }

// ConsoleLog is the file with everything the host printed.
func (h *Host) ConsoleLog() string { return h.consoleLog }

// Console connects a person to the host's serial console until in ends or ctx
// does. Only one at a time is served.
func (h *Host) Console(ctx context.Context, in io.Reader, out io.Writer) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", h.consoleSocket)
	if err != nil {
		return fmt.Errorf("console of host %d: %w", h.Number, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	go func() {
		io.Copy(conn, in)
		conn.Close()
	}()
	if _, err := io.Copy(out, conn); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("console of host %d: %w", h.Number, err)
	}
	return nil
}
