package dm

import (
	"context"
	"strconv"
	"strings"
)

// SerialTTYs returns the terminals of emulated serial ports, by port number.
func (m *Monitor) SerialTTYs(ctx context.Context) (map[int]string, error) {
	var devs []struct{ Label, Filename string }
	if err := m.Execute(ctx, "query-chardev", nil, &devs); err != nil {
		return nil, err
	}
	ttys := map[int]string{}
	for _, d := range devs {
		num, ok1 := strings.CutPrefix(d.Label, "serial")
		tty, ok2 := strings.CutPrefix(d.Filename, "pty:")
		n, err := strconv.ParseUint(num, 10, 8)
		if ok1 && ok2 && err == nil {
			ttys[int(n)] = tty
		}
	}
	return ttys, nil
}

// VNCState is where a QEMU's VNC server listens.
type VNCState struct {
	Enabled bool
	Host    string
	Service string // a port number in decimal
}

// VNC returns the state of the VNC server.
func (m *Monitor) VNC(ctx context.Context) (VNCState, error) {
	var v VNCState
	err := m.Execute(ctx, "query-vnc", nil, &v)
	return v, err
}
