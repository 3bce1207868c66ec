package domains

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"goxl/xenctrl/abi"
)

// Console says where the primary console of guest id is: that of its stub domain
// if it has one, the emulated serial port of an HVM guest, else the Xen console.
func (m *Manager) Console(ctx context.Context, id abi.DomID) (Console, error) {
	stub, err := m.stubDomain(ctx, id)
	if err != nil {
		return Console{}, err
	}
	c := Console{Dom: id, Type: "pv"}
	if stub != 0 {
		c.Dom, c.Num = stub, 3 // STUBDOM_CONSOLE_SERIAL
	} else {
		t, err := m.TypeOf(ctx, id)
		if err != nil {
			return Console{}, err
		}
		if t == HVM {
			c.Type = "serial"
		}
	}
	path, err := consolePath(c.Dom, c.Num, c.Type)
	if err != nil {
		return Console{}, err
	}
	if c.TTY, _, err = m.read(ctx, path); err != nil {
		return Console{}, fail(Store, id, "look for the console", err)
	}
	return c, nil
}

// ConsoleTTY returns the pseudo terminal of a console of domain id: kind is
// "pv", "serial" or "vuart". "" means that there is none yet.
func (m *Manager) ConsoleTTY(ctx context.Context, id abi.DomID, kind string, num int) (string, error) {
	path, err := consolePath(id, num, kind)
	if err != nil {
		return "", err
	}
	tty, _, err := m.read(ctx, path)
	if err != nil {
		return "", fail(Store, id, "look for the console", err)
	}
	return tty, nil
}

// consolePath is the node that names a console's terminal.
func consolePath(id abi.DomID, num int, kind string) (string, error) {
	switch kind {
	case "pv":
		if num == 0 {
			return domainPath(id) + "/console/tty", nil
		}
		return fmt.Sprintf("%s/device/console/%d/tty", domainPath(id), num), nil
	case "serial":
		return fmt.Sprintf("%s/serial/%d/tty", domainPath(id), num), nil
	case "vuart":
		return domainPath(id) + "/vuart/0/tty", nil
	}
	return "", failf(BadConfig, id, "look for the console", "there is no console of type %q", kind)
}

// VNC says where the screen of guest id is shown. The error's code is NoDevice
// when it has none.
func (m *Manager) VNC(ctx context.Context, id abi.DomID) (VNC, error) {
	op := fmt.Sprintf("look for the screen of domain %d", id)
	dir := domainPath(id) + "/console/vnc-"
	port, ok, err := m.read(ctx, dir+"port")
	if err != nil {
		return VNC{}, fail(Store, id, op, err)
	}
	n, convErr := strconv.ParseUint(port, 10, 16)
	if !ok || convErr != nil {
		return VNC{}, fail(NoDevice, id, op, errors.New("it shows none through VNC"))
	}
	v := VNC{Port: int(n), Listen: "localhost"}
	if s, ok, err := m.read(ctx, dir+"listen"); err != nil {
		return VNC{}, fail(Store, id, op, err)
	} else if ok {
		v.Listen = s
	}
	if v.Password, _, err = m.read(ctx, dir+"pass"); err != nil {
		return VNC{}, fail(Store, id, op, err)
	}
	return v, nil
}

// StartTime returns when guest id was created (or restored), to the second. The
// error's code is NoConfig when nobody noted it, as for domain 0.
func (m *Manager) StartTime(ctx context.Context, id abi.DomID) (time.Time, error) {
	op := fmt.Sprintf("look when domain %d was started", id)
	vm, _, err := m.read(ctx, domainPath(id)+"/vm")
	if err != nil {
		return time.Time{}, fail(Store, id, op, err)
	}
	s, ok, err := m.read(ctx, vm+"/start_time")
	if err != nil {
		return time.Time{}, fail(Store, id, op, err)
	}
	if !ok || vm == "" {
		return time.Time{}, failf(NoConfig, id, op, "there is no note of it in xenstore")
	}
	return time.Unix(leadingNumber(s), 0), nil
}

// leadingNumber reads digits up to the first other character, as strtoul does.
func leadingNumber(s string) int64 {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	n, _ := strconv.ParseInt(s[:end], 10, 64) // 0 without digits
	return n
}
