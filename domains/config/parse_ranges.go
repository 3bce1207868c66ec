package config

import (
	"math"
	"strings"
)

// ioports reads ranges of hexadecimal I/O port numbers.
func (b *builder) ioports() error {
	items, p := b.list("ioports", loud)
	if p != given {
		return nil
	}
	for i, item := range items {
		if item.isList {
			return fatal(CodeType, "xl: Unable to get element #%d in ioport list\n", i)
		}
		invalid := fatal(CodeValue, "xl: Invalid argument parsing ioport: %s\n", item.text)
		first, rest, ok := scanUint(item.text, 16)
		if !ok {
			return invalid
		}
		if first >= math.MaxUint32 {
			return fatal(CodeValue, "xl: ioport %x too big\n", first)
		}
		last := first
		if after, dash := strings.CutPrefix(rest, "-"); dash {
			last, rest, ok = scanUint(after, 16)
			if !ok || rest != "" {
				return invalid
			}
			if last >= math.MaxUint32 {
				return fatal(CodeValue, "xl: ioport %x too big\n", last)
			}
		} else if rest != "" {
			b.note(CodeValue, "%s", invalid.Text())
		}
		b.spec.BInfo.IOPorts = append(b.spec.BInfo.IOPorts, IOPortRange{uint32(first), uint32(last) - uint32(first) + 1})
	}
	return nil
}

func (b *builder) irqs() error {
	items, p := b.list("irqs", loud)
	if p != given {
		return nil
	}
	for i, item := range items {
		if item.isList {
			return fatal(CodeType, "xl: Unable to get element %d in irq list\n", i)
		}
		n, rest, ok := scanUint(item.text, 10)
		if !ok || rest != "" {
			return fatal(CodeValue, "xl: Invalid argument parsing irq: %s\n", item.text)
		}
		if n >= math.MaxUint32 {
			return fatal(CodeValue, "xl: irq %x too big\n", n)
		}
		b.spec.BInfo.IRQs = append(b.spec.BInfo.IRQs, uint32(n))
	}
	return nil
}

// iomem reads "START,COUNT[@GFN]", all hexadecimal frame numbers.
func (b *builder) iomem() error {
	items, p := b.list("iomem", loud)
	if p != given {
		return nil
	}
	for i, item := range items {
		if item.isList {
			return fatal(CodeType, "xl: Unable to get element %d in iomem list\n", i)
		}
		r, ok := parseIOMem(item.text)
		if !ok {
			return fatal(CodeValue, "xl: Invalid argument parsing iomem: %s\n", item.text)
		}
		b.spec.BInfo.IOMem = append(b.spec.BInfo.IOMem, r)
	}
	return nil
}

func parseIOMem(s string) (IOMemRange, bool) {
	var r IOMemRange
	start, rest, ok := scanUint(s, 16)
	rest, comma := strings.CutPrefix(rest, ",")
	if !ok || !comma {
		return r, false
	}
	number, rest, ok := scanUint(rest, 16)
	if !ok {
		return r, false
	}
	r.Start, r.Number = start, number
	if after, at := strings.CutPrefix(rest, "@"); at {
		var gfn uint64
		if gfn, rest, ok = scanUint(after, 16); !ok {
			return r, false
		}
		if gfn != math.MaxUint64 {
			r.GFN = Some(gfn)
		}
	}
	return r, rest == ""
}

func (b *builder) dtdev() error {
	paths, _ := b.texts("dtdev")
	for _, path := range paths {
		b.spec.DTDevs = append(b.spec.DTDevs, DTDev{Some(path)})
	}
	return nil
}
