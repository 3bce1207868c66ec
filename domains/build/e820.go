package build

import (
	"errors"
	"slices"

	"goxl/xenctrl/abi"
)

// hostMap makes the memory map of a PV guest that is to see the host's holes
// (e820_host=1), so that devices passed through to it find the addresses that
// they have on the host.
//
// The guest's RAM is one piece from 0 on, up to the host's first reserved
// region; what was cut off there, and what the guest may grow by, follows above
// 4 GiB. The host's own RAM in between is unusable, not a hole: Linux takes
// holes for room to put devices. Source: libxl_x86.c, e820_sanitize.
func hostMap(host []abi.E820Entry, target, more abi.KiB) ([]abi.E820Entry, error) {
	var src []abi.E820Entry
	firstReserved, lastEnd := ^uint64(0), uint64(0)
	for _, e := range host {
		if e.Addr <= 1<<20 {
			continue // below 1 MiB all is the guest's
		}
		src = append(src, e)
		if e.Type != abi.E820RAM && e.Type != abi.E820Unusable {
			firstReserved = min(firstReserved, e.Addr)
			lastEnd = max(lastEnd, e.Addr+e.Size)
		}
	}
	if len(src) == 0 {
		return nil, errors.New("e820_host: the host's memory map is empty")
	}
	ram, cut := uint64(target)<<10, uint64(0)
	if firstReserved != ^uint64(0) && ram > firstReserved {
		ram, cut = firstReserved, ram-firstReserved
	}
	out := []abi.E820Entry{{Addr: 0, Size: ram, Type: abi.E820RAM}}
	out = append(out, hostGaps(src, ram, firstReserved)...)
	if grow := cut + uint64(more)<<10; grow > 0 {
		out = append(out, abi.E820Entry{Addr: max(fourGiB, lastEnd), Size: grow, Type: abi.E820RAM})
	}
	if len(out) > abi.MaxE820 {
		return nil, errors.New("e820_host: the host's memory map has too many entries")
	}
	return out, nil
}

// hostGaps is the host's map above the guest's RAM, where RAM below 4 GiB and
// the space up to the first reserved region are unusable.
func hostGaps(src []abi.E820Entry, ram, firstReserved uint64) []abi.E820Entry {
	var out []abi.E820Entry
	for _, e := range src {
		end := e.Addr + e.Size
		switch {
		case e.Type == abi.E820Unusable, end < ram:
			continue
		case e.Type != abi.E820RAM:
			out = append(out, e)
		case e.Addr >= fourGiB || end <= ram:
		default:
			start := max(e.Addr, ram)
			out = append(out, abi.E820Entry{Addr: start, Size: end - start, Type: abi.E820Unusable})
		}
	}
	if firstReserved == ^uint64(0) || firstReserved <= ram {
		return out
	}
	at := slices.IndexFunc(out, func(e abi.E820Entry) bool { return e.Type == abi.E820Unusable && e.Addr == ram })
	if at >= 0 {
		out[at].Size = firstReserved - ram
		return out
	}
	return slices.Insert(out, 0, abi.E820Entry{Addr: ram, Size: firstReserved - ram, Type: abi.E820Unusable})
}
