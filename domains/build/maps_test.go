package build

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"goxl/domains/image"
	"goxl/xenctrl/abi"
)

func TestHostMap(t *testing.T) {
	const mib = 1 << 20
	host := []abi.E820Entry{
		{Addr: 0, Size: 0x9f000, Type: abi.E820RAM},
		{Addr: 0xf0000, Size: 0x10000, Type: abi.E820Reserved},
		{Addr: mib, Size: 100 * mib, Type: abi.E820RAM}, // at 1 MiB, so it counts as below
		{Addr: 200 * mib, Size: 300 * mib, Type: abi.E820RAM},
		{Addr: 500 * mib, Size: 50 * mib, Type: abi.E820ACPI},
		{Addr: 600 * mib, Size: 10 * mib, Type: abi.E820RAM},
		{Addr: fourGiB, Size: 1 << 30, Type: abi.E820RAM},
	}
	for _, tt := range []struct {
		name         string
		target, more abi.KiB
		want         []abi.E820Entry
	}{
		{"below the reserved region", 128 << 10, 0, []abi.E820Entry{
			{Addr: 0, Size: 128 * mib, Type: abi.E820RAM},
			{Addr: 128 * mib, Size: 372 * mib, Type: abi.E820Unusable},
			{Addr: 200 * mib, Size: 300 * mib, Type: abi.E820Unusable},
			{Addr: 500 * mib, Size: 50 * mib, Type: abi.E820ACPI},
			{Addr: 600 * mib, Size: 10 * mib, Type: abi.E820Unusable},
		}},
		{"cut at it, the rest above 4 GiB", 512 << 10, 4 << 10, []abi.E820Entry{
			{Addr: 0, Size: 500 * mib, Type: abi.E820RAM},
			{Addr: 500 * mib, Size: 50 * mib, Type: abi.E820ACPI},
			{Addr: 600 * mib, Size: 10 * mib, Type: abi.E820Unusable},
			{Addr: fourGiB, Size: 16 * mib, Type: abi.E820RAM},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := hostMap(host, tt.target, tt.more)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("memory map (-want +got):\n%s", d)
			}
		})
	}
	if _, err := hostMap(nil, 1024, 0); err == nil {
		t.Error("no error for a host without a map")
	}
}

func TestPVHLayout(t *testing.T) {
	k := &image.PVH{Entry: 0x1000000, Start: 0x1000000, End: 0x2000123}
	mods := []Module{{Size: 5000}}
	l, err := layOutPVH(k, abi.KiB(5<<20).Pages(), mods, 3000)
	if err != nil {
		t.Fatal(err)
	}
	if l.lowEnd != pvhHole || l.highEnd != fourGiB+(5<<30-pvhHole) {
		t.Errorf("RAM up to %#x and %#x", l.lowEnd, l.highEnd)
	}
	if l.modules[0].pfn != 0x2001 || l.start.pfn != 0x2003 {
		t.Errorf("module at %#x, start info at %#x", l.modules[0].pfn, l.start.pfn)
	}
	k.RamdiskLast = true
	if l, err = layOutPVH(k, abi.KiB(64<<10).Pages(), mods, 3000); err != nil || l.start.pfn != 0x2001 || l.modules[0].pfn != 0x2002 {
		t.Errorf("ramdisk last: %+v, %v", l, err)
	}
}
