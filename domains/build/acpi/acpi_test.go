package acpi

import (
	"bytes"
	"encoding/binary"
	"testing"
)

var le = binary.LittleEndian

// reader finds tables by guest-physical address, as a guest does.
type reader struct {
	t *testing.T
	*Tables
}

func (r reader) at(addr uint64, n int) []byte {
	r.t.Helper()
	for _, m := range r.Modules {
		if addr >= m.Addr && addr+uint64(n) <= m.Addr+uint64(len(m.Data)) {
			return m.Data[addr-m.Addr:][:n]
		}
	}
	r.t.Fatalf("%d bytes at %#x: not in any module", n, addr)
	return nil
}

func (r reader) table(addr uint64, want string) []byte {
	r.t.Helper()
	b := r.at(addr, int(le.Uint32(r.at(addr, 8)[4:])))
	if string(b[:4]) != want {
		r.t.Fatalf("table at %#x is %q, want %q", addr, b[:4], want)
	}
	if want != "FACS" {
		r.sums(b)
	}
	return b
}

func (r reader) sums(b []byte) {
	r.t.Helper()
	var s byte
	for _, v := range b {
		s += v
	}
	if s != 0 {
		r.t.Errorf("%q: bytes add up to %d", b[:4], s)
	}
}

func TestTables(t *testing.T) {
	for _, tt := range []struct {
		name   string
		vcpus  int
		low    bool
		online int // below
	}{
		{"one vcpu", 1, false, 1},
		{"old Linux", 2, true, 2},
		{"half of them online", 64, false, 32},
		{"as many as can be", MaxVCPUs, false, MaxVCPUs},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tables, err := New(Config{VCPUs: tt.vcpus, LowRSDP: tt.low, Online: func(i int) bool { return i < tt.online }})
			if err != nil {
				t.Fatal(err)
			}
			r := reader{t, tables}
			root := r.at(tables.RSDP(), 36)
			r.sums(root[:20])
			r.sums(root)
			if low := tables.RSDP() < 1<<20; low != tt.low || tables.RSDP()%16 != 0 {
				t.Errorf("root pointer at %#x", tables.RSDP())
			}
			xsdt := r.table(le.Uint64(root[24:]), "XSDT")
			rsdt := r.table(uint64(le.Uint32(root[16:])), "RSDT")
			if old := r.table(uint64(le.Uint32(rsdt[36:])), "FACP"); len(old) != 116 || old[8] != 1 {
				t.Errorf("RSDT lists a fixed table of %d bytes, revision %d", len(old), old[8])
			}
			fixed := r.table(le.Uint64(xsdt[36:]), "FACP")
			r.table(uint64(le.Uint32(fixed[36:])), "FACS")
			r.table(le.Uint64(fixed[140:]), "DSDT")
			r.checkMADT(le.Uint64(xsdt[44:]), tt.vcpus, tt.online)
		})
	}
	if _, err := New(Config{VCPUs: MaxVCPUs + 1}); err == nil {
		t.Error("no error for too many vcpus")
	}
}

func (r reader) checkMADT(addr uint64, vcpus, online int) {
	r.t.Helper()
	madt := r.table(addr, "APIC")
	for i := range vcpus {
		e := madt[madtHead+8*i:]
		if e[0] != 0 || e[1] != 8 || int(e[2]) != i || int(e[3]) != 2*i || (e[4] == 1) != (i < online) {
			r.t.Errorf("vcpu %d: entry % x", i, e[:8])
		}
	}
	info := r.at(InfoAddr, 4096)
	if le.Uint16(info[2:]) != uint16(vcpus) || uint64(le.Uint32(info[16:])) != addr+madtHead || uint64(le.Uint32(info[12:])) != addr+9 {
		r.t.Errorf("info page: % x", info[:24])
	}
}

func TestNUMATables(t *testing.T) {
	tables, err := New(Config{VCPUs: 2, NUMA: &NUMA{NodeOf: []int{0, 1}, Distance: [][]int{{10, 20}, {21, 10}},
		Memory: []Range{{0, 64 << 20, 0}, {64 << 20, 128 << 20, 1}}}})
	if err != nil {
		t.Fatal(err)
	}
	r := reader{t, tables}
	xsdt := r.table(le.Uint64(r.at(tables.RSDP(), 36)[24:]), "XSDT")
	srat := r.table(le.Uint64(xsdt[52:]), "SRAT")
	if cpu := srat[48+16:]; cpu[2] != 1 || cpu[3] != 2 {
		t.Errorf("SRAT entry of vcpu 1: % x", cpu[:16])
	}
	if mem := srat[48+32+40:]; le.Uint64(mem[8:]) != 64<<20 || le.Uint64(mem[16:]) != 64<<20 || mem[2] != 1 {
		t.Errorf("SRAT entry of the second range: % x", mem[:40])
	}
	if slit := r.table(le.Uint64(xsdt[60:]), "SLIT"); !bytes.Equal(slit[44:], []byte{10, 20, 21, 10}) {
		t.Errorf("SLIT: % d", slit[44:])
	}
}

func TestPkgLength(t *testing.T) {
	for _, n := range []int{0, 1, 61, 62, 63, 64, 4092, 4093, 4094, 4095, 70000} {
		b := pkg(make([]byte, n))
		got := int(b[0] & 63)
		if more := int(b[0] >> 6); more > 0 {
			got &= 15
			for i := range more {
				got |= int(b[1+i]) << (4 + 8*i)
			}
		}
		if got != len(b) {
			t.Errorf("%d bytes: length %d, want %d", n, got, len(b))
		}
	}
}
