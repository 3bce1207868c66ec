package xentest

import (
	"syscall"

	"goxl/xenctrl/abi"
)

type policy struct {
	leaves []abi.CPUIDLeaf
	msrs   []abi.PolicyMSR
}

const maxExtended = 0x80000008

// defaultPolicy is an invented Intel CPU with a few leaves of every kind.
func (m *Machine) defaultPolicy() *policy {
	const none = abi.NoSubleaf
	return &policy{
		leaves: []abi.CPUIDLeaf{
			{Leaf: 0, Subleaf: none, A: 0xd, B: 0x756e6547, C: 0x6c65746e, D: 0x49656e69},
			{Leaf: 1, Subleaf: none, A: 0x000306c3, B: 0x00020800, C: 0xf7fa3203, D: 0x178bfbff},
			{Leaf: 2, Subleaf: none, A: 1},
			{Leaf: 4, Subleaf: 0, A: 0x04004121, B: 0x01c0003f, C: 63},
			{Leaf: 4, Subleaf: 1, A: 0x04004122, B: 0x01c0003f, C: 63},
			{Leaf: 4, Subleaf: 2},
			{Leaf: 5, Subleaf: none},
			{Leaf: 6, Subleaf: none},
			{Leaf: 7, Subleaf: 0, B: 0x001c0fa9},
			{Leaf: 0xd, Subleaf: 0, A: 7, B: 832, C: 832},
			{Leaf: 0xd, Subleaf: 1, A: 1},
			{Leaf: 0xd, Subleaf: 2, A: 256, B: 576},
			{Leaf: 0x80000000, Subleaf: none, A: maxExtended},
			{Leaf: 0x80000001, Subleaf: none, C: 0x21, D: 0x2c100800},
			{Leaf: 0x80000007, Subleaf: none, D: 0x100},
			{Leaf: 0x80000008, Subleaf: none, A: 0x3027},
		},
		msrs: []abi.PolicyMSR{{Index: 0xce, Value: 0}},
	}
}

// cpuPolicy gets or sets a domain's policy.
func (m *Machine) cpuPolicy(d *domain, c *domctlCall) error {
	nl, nm := le.Uint32(c.u), le.Uint32(c.u[4:])
	la, ma := le.Uint64(c.u[8:]), le.Uint64(c.u[16:])
	if c.cmd == 82 {
		gl, gm, err := m.writePolicy(d.policy, nl, nm, la, ma)
		le.PutUint32(c.u, gl)
		le.PutUint32(c.u[4:], gm)
		return err
	}
	for i := 24; i < 36; i += 4 {
		le.PutUint32(c.u[i:], abi.NoSubleaf)
	}
	if d.started {
		return syscall.EEXIST
	}
	lb, err := m.at(la, int(nl)*24)
	if err != nil {
		return err
	}
	mb, err := m.at(ma, int(nm)*16)
	if err != nil {
		return err
	}
	next := policy{append([]abi.CPUIDLeaf(nil), d.policy.leaves...), append([]abi.PolicyMSR(nil), d.policy.msrs...)}
	for i := range int(nl) {
		b := lb[i*24:]
		l := abi.CPUIDLeaf{Leaf: le.Uint32(b), Subleaf: le.Uint32(b[4:]), A: le.Uint32(b[8:]),
			B: le.Uint32(b[12:]), C: le.Uint32(b[16:]), D: le.Uint32(b[20:])}
		if err := next.setLeaf(l); err != nil {
			le.PutUint32(c.u[24:], l.Leaf)
			le.PutUint32(c.u[28:], l.Subleaf)
			return err
		}
	}
	for i := range int(nm) {
		b := mb[i*16:]
		if err := next.setMSR(le.Uint32(b), le.Uint32(b[4:]), le.Uint64(b[8:])); err != nil {
			le.PutUint32(c.u[32:], le.Uint32(b))
			return err
		}
	}
	*d.policy = next
	return nil
}

func (p *policy) setLeaf(l abi.CPUIDLeaf) error {
	switch {
	case l.Leaf == 0 && l.A > 0xd, l.Leaf == 0x80000000 && l.A > maxExtended:
		return syscall.EINVAL
	case l.Leaf > 0xd && l.Leaf < 0x80000000, l.Leaf > maxExtended:
		return syscall.ERANGE
	}
	for i := range p.leaves {
		if p.leaves[i].Leaf == l.Leaf && p.leaves[i].Subleaf == l.Subleaf {
			p.leaves[i] = l
			return nil
		}
	}
	p.leaves = append(p.leaves, l)
	return nil
}

func (p *policy) setMSR(index, flags uint32, value uint64) error {
	if flags != 0 {
		return syscall.EINVAL
	}
	for i := range p.msrs {
		if p.msrs[i].Index == index {
			p.msrs[i].Value = value
			return nil
		}
	}
	return syscall.ERANGE
}

// writePolicy copies a policy out; address 0 asks for the counts.
func (m *Machine) writePolicy(p *policy, nl, nm uint32, la, ma uint64) (uint32, uint32, error) {
	if la != 0 {
		b, err := m.at(la, int(nl)*24)
		if err != nil {
			return 0, 0, err
		}
		if int(nl) < len(p.leaves) {
			return 0, 0, syscall.ENOBUFS
		}
		for i, l := range p.leaves {
			for j, w := range []uint32{l.Leaf, l.Subleaf, l.A, l.B, l.C, l.D} {
				le.PutUint32(b[i*24+4*j:], w)
			}
		}
	}
	if ma != 0 {
		b, err := m.at(ma, int(nm)*16)
		if err != nil {
			return 0, 0, err
		}
		if int(nm) < len(p.msrs) {
			return 0, 0, syscall.ENOBUFS
		}
		for i, r := range p.msrs {
			le.PutUint32(b[i*16:], r.Index)
			le.PutUint64(b[i*16+8:], r.Value)
		}
	}
	if la == 0 && ma == 0 {
		return 120, 2, nil
	}
	return uint32(len(p.leaves)), uint32(len(p.msrs)), nil
}
