package xentest

import (
	"syscall"

	"goxl/xenctrl/abi"
)

// xenVersion answers what Xen says about itself.
func (m *Machine) xenVersion(cmd uint32, addr uint64) (int64, error) {
	texts := map[uint32]struct {
		size int
		text string
	}{
		1: {16, ".0-xentest"},
		3: {1024, "xen-3.0-x86_64 hvm-3.0-x86_32 hvm-3.0-x86_32p hvm-3.0-x86_64 "},
		4: {64, "Sun Nov 22 10:00:00 2026 +0000 git:0123456789ab"},
		8: {16, ""},
		9: {1024, m.cfg.CommandLine},
	}
	if t, ok := texts[cmd]; ok {
		b, err := m.at(addr, t.size)
		if err != nil {
			return 0, err
		}
		clear(b)
		copy(b[:t.size-1], t.text)
		return 0, nil
	}
	long := map[uint32]uint32{11: 1, 12: 3, 13: 4, 14: 9}
	if short, ok := long[cmd]; ok && m.cfg.Version.AtLeast(4, 20) {
		return m.varText(addr, texts[short].text)
	}
	switch cmd {
	case 0:
		return int64(m.cfg.Version.Major)<<16 | int64(m.cfg.Version.Minor), nil
	case 2:
		b, err := m.at(addr, 144)
		if err != nil {
			return 0, err
		}
		clear(b)
		copy(b, "gcc (in memory) 12.2.0")
		copy(b[64:], "xentest")
		copy(b[80:], "example.org")
		copy(b[112:], "Sun Nov 22 10:00:00 UTC 2026")
		return 0, nil
	case 5:
		b, err := m.at(addr, 8)
		if err == nil {
			le.PutUint64(b, 0xffff800000000000)
		}
		return 0, err
	case 6:
		b, err := m.at(addr, 8)
		if err == nil {
			le.PutUint32(b[4:], 1<<0|1<<1|1<<11)
		}
		return 0, err
	case 7:
		return abi.PageSize, nil
	case 10:
		return 0, syscall.ENODATA
	}
	return 0, syscall.ENOSYS
}

// hypfs has no content.
func (m *Machine) hypfs(args [5]uint64) (int64, error) {
	switch {
	case m.cfg.NoHypfs:
		return 0, syscall.ENOSYS
	case args[0] == abi.HypfsGetVersion:
		return 1, nil
	}
	return 0, syscall.ENOENT
}

// varText writes a text of any length behind a word that says how much fits.
func (m *Machine) varText(addr uint64, text string) (int64, error) {
	if addr == 0 {
		return int64(len(text)), nil
	}
	head, err := m.at(addr, 4)
	if err != nil {
		return 0, err
	}
	n := min(int(le.Uint32(head)), len(text))
	b, err := m.at(addr, 4+n)
	if err != nil {
		return 0, err
	}
	return int64(copy(b[4:], text)), nil
}
