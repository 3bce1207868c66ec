package xentest

import (
	"syscall"

	"goxl/xenctrl/abi"
)

// port is an event channel of a domain.
type port struct {
	state      uint32 // abi.Evtchn…
	remote     abi.DomID
	remotePort abi.Port
}

// evtchnOp decodes and performs an event_channel_op.
func (m *Machine) evtchnOp(cmd uint32, addr uint64) error {
	size := map[uint32]int{3: 4, 4: 4, 5: 24, 6: 8, 10: 2}[cmd]
	if size == 0 {
		return syscall.ENOSYS
	}
	b, err := m.at(addr, size)
	if err != nil {
		return err
	}
	if cmd == 3 || cmd == 4 {
		p := abi.Port(le.Uint32(b))
		d := m.domains[0]
		if int(p) >= len(d.ports) || d.ports[p].state == 0 {
			return syscall.EINVAL
		}
		if cmd == 3 {
			m.closePort(d, p)
		}
		return nil
	}
	d, err := m.domain(abi.DomID(le.Uint16(b)))
	if err != nil {
		return err
	}
	switch cmd {
	case 6:
		return m.allocPort(d, b)
	case 5:
		return m.portStatus(d, b)
	}
	for i := range d.ports {
		m.closePort(d, abi.Port(i))
	}
	return nil
}

// allocPort makes an unbound port.
func (m *Machine) allocPort(d *domain, b []byte) error {
	for i := range d.ports {
		if i > 0 && d.ports[i].state == 0 {
			d.ports[i] = port{state: abi.EvtchnUnbound, remote: abi.DomID(le.Uint16(b[2:]))}
			le.PutUint32(b[4:], uint32(i))
			return nil
		}
	}
	if len(d.ports) >= int(d.maxPorts) {
		return syscall.ENOSPC
	}
	d.ports = append(d.ports, port{state: abi.EvtchnUnbound, remote: abi.DomID(le.Uint16(b[2:]))})
	le.PutUint32(b[4:], uint32(len(d.ports)-1))
	return nil
}

func (m *Machine) portStatus(d *domain, b []byte) error {
	p := le.Uint32(b[4:])
	if int(p) >= len(d.ports) {
		return syscall.EINVAL
	}
	s := d.ports[p]
	clear(b[8:])
	le.PutUint32(b[8:], s.state)
	le.PutUint16(b[16:], uint16(s.remote))
	le.PutUint32(b[20:], uint32(s.remotePort))
	return nil
}

// closePort closes a port; the other end becomes unbound.
func (m *Machine) closePort(d *domain, p abi.Port) {
	s := d.ports[p]
	d.ports[p] = port{}
	if s.state != abi.EvtchnInterdomain {
		return
	}
	if r := m.domains[s.remote]; r != nil && int(s.remotePort) < len(r.ports) {
		r.ports[s.remotePort] = port{state: abi.EvtchnUnbound, remote: d.id}
	}
}

// BindPort does what a backend in domain 0 does: it connects a new port of its
// own to an unbound port of a domain. It reports whether that was possible.
func (m *Machine) BindPort(id abi.DomID, p abi.Port) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.domains[id]
	if d == nil || int(p) >= len(d.ports) || d.ports[p].state != abi.EvtchnUnbound || d.ports[p].remote != 0 {
		return false
	}
	own := m.domains[0]
	own.ports = append(own.ports, port{abi.EvtchnInterdomain, id, p})
	d.ports[p] = port{abi.EvtchnInterdomain, 0, abi.Port(len(own.ports) - 1)}
	return true
}

// schedOp shuts a domain down.
func (m *Machine) schedOp(cmd uint32, addr uint64) error {
	if cmd != abi.SchedRemoteShutdown {
		return syscall.ENOSYS
	}
	b, err := m.at(addr, 8)
	if err != nil {
		return err
	}
	d, err := m.domain(abi.DomID(le.Uint16(b)))
	if err != nil {
		return err
	}
	if le.Uint32(b[4:]) > 5 {
		return syscall.EINVAL
	}
	d.shutdown, d.reason = true, uint8(le.Uint32(b[4:]))
	return nil
}

// physdev maps interrupts one to one.
func (m *Machine) physdev(cmd uint32, addr uint64) error {
	b, err := m.at(addr, 8)
	if err != nil {
		return err
	}
	d, err := m.domain(abi.DomID(le.Uint16(b)))
	if err != nil {
		return err
	}
	switch cmd {
	case abi.PhysdevMapPIRQ:
		if b, err = m.at(addr, 40); err != nil {
			return err
		}
		if int32(le.Uint32(b[12:])) < 0 {
			copy(b[12:16], b[8:12])
		}
		d.irqs[uint64(le.Uint32(b[12:]))] = true
		return nil
	case abi.PhysdevUnmapPIRQ:
		delete(d.irqs, uint64(le.Uint32(b[4:])))
		return nil
	}
	return syscall.ENOSYS
}
