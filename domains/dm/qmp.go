package dm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// maxMessage bounds one message of QEMU, which a guest may have taken over.
const maxMessage = 1 << 20

// Version is a release of QEMU.
type Version struct{ Major, Minor, Micro int }

// QMPError is a command that QEMU refused.
type QMPError struct {
	Command string
	Class   string `json:"class"`
	Desc    string `json:"desc"`
}

func (e *QMPError) Error() string {
	return fmt.Sprintf("qemu: %s: %.500s (%.50s)", e.Command, e.Desc, e.Class)
}

// ErrQMP says that the other side does not speak the protocol.
var ErrQMP = errors.New("not QMP")

// Monitor is a connection to a QEMU's control socket. Its methods are safe for
// concurrent use; commands are carried out one after the other.
type Monitor struct {
	conn    net.Conn
	release func()

	mu      sync.Mutex
	in      *bufio.Reader
	id      uint64
	err     error // why no more commands are possible
	version Version
}

// NewMonitor greets the QEMU at the other end of conn, which it then owns.
// release, if not nil, is called by Close.
func NewMonitor(ctx context.Context, conn net.Conn, release func()) (*Monitor, error) {
	m := &Monitor{conn: conn, release: release, in: bufio.NewReader(conn)}
	var greeting struct {
		QMP *struct {
			Version struct{ Qemu Version }
		}
	}
	m.mu.Lock()
	stop := m.interruptible(ctx)
	err := m.receive(&greeting)
	if stop() {
		err = context.Cause(ctx)
	}
	m.mu.Unlock()
	if err == nil && greeting.QMP == nil {
		err = fmt.Errorf("%w: no greeting", ErrQMP)
	}
	if err == nil {
		m.version = greeting.QMP.Version.Qemu
		err = m.Execute(ctx, "qmp_capabilities", nil, nil)
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("connect to qemu: %w", err)
	}
	return m, nil
}

// Version returns the release of QEMU as it named itself.
func (m *Monitor) Version() Version { return m.version }

// Execute runs a command and stores its result in result, both as JSON; args and
// result may be nil. It waits for the answer until ctx ends, after which the
// monitor can only be closed. A refusal is a *QMPError.
func (m *Monitor) Execute(ctx context.Context, command string, args, result any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return fmt.Errorf("qemu: %s: %w", command, m.err)
	}
	stop := m.interruptible(ctx)
	answer, err := m.roundTrip(command, args)
	if stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		m.err = err
		return fmt.Errorf("qemu: %s: %w", command, err)
	}
	if answer.Error != nil {
		answer.Error.Command = command
		return answer.Error
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Return, result); err != nil {
		return fmt.Errorf("qemu: %s: %w", command, err)
	}
	return nil
}

// Close ends the connection. It may be called twice.
func (m *Monitor) Close() error {
	err := m.conn.Close()
	if m.release != nil {
		m.release()
	}
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

type reply struct {
	Return json.RawMessage `json:"return"`
	Error  *QMPError       `json:"error"`
	ID     *uint64         `json:"id"`
}

func (m *Monitor) roundTrip(command string, args any) (reply, error) {
	m.id++
	b, err := json.Marshal(struct {
		Execute   string `json:"execute"`
		Arguments any    `json:"arguments,omitempty"`
		ID        uint64 `json:"id"`
	}{command, args, m.id})
	if err != nil {
		return reply{}, err
	}
	if _, err := m.conn.Write(append(b, '\n')); err != nil {
		return reply{}, err
	}
	for { // events stand between answers
		var r reply
		if err := m.receive(&r); err != nil {
			return reply{}, err
		}
		if r.ID != nil && *r.ID == m.id {
			return r, nil
		}
		if r.ID == nil && r.Error != nil { // QEMU could not even read the command
			return r, nil
		}
	}
}

// receive reads one message, which QEMU ends with a newline.
func (m *Monitor) receive(v any) error {
	var line []byte
	for {
		part, err := m.in.ReadSlice('\n')
		if len(line)+len(part) > maxMessage {
			return fmt.Errorf("%w: a message of more than %d bytes", ErrQMP, maxMessage)
		}
		line = append(line, part...)
		if err == nil {
			break
		}
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("qemu closed the connection: %w", io.ErrUnexpectedEOF)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
	if err := json.Unmarshal(line, v); err != nil {
		return fmt.Errorf("%w: %w", ErrQMP, err)
	}
	return nil
}

// interruptible makes the end of ctx end reads and writes. The returned function
// undoes that and reports whether it happened.
func (m *Monitor) interruptible(ctx context.Context) (stop func() bool) {
	undo := context.AfterFunc(ctx, func() { m.conn.SetDeadline(time.Unix(1, 0)) })
	return func() bool { return !undo() }
}
