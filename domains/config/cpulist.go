package config

import (
	"strconv"
	"strings"
)

// ParseCPUs reads a list of CPUs such as "0-3,^2,nodes:1" or "all". Elements are
// added, or with ^ taken away, from left to right. CPUs that the host does not
// have are left out. "all" fills the set to the end of its last byte, as xl does.
func ParseCPUs(text string, host Host) (Bitmap, error) {
	m := NewBitmap(host.maxCPUs())
	return m, addCPUs(m, text, host)
}

func addCPUs(m Bitmap, text string, host Host) error {
	for _, item := range fields(text, ",") {
		if err := addCPURange(m, item, host); err != nil {
			return err
		}
	}
	return nil
}

func addCPURange(m Bitmap, item string, host Host) error {
	item, remove := strings.CutPrefix(item, "^")
	item, nodes := strings.CutPrefix(item, "node:")
	if !nodes {
		item, nodes = strings.CutPrefix(item, "nodes:")
	}
	if item == "all" {
		if remove {
			return fatal(CodeCPUList, "Can't combine \"^\" and \"all\".\n")
		}
		m.Fill()
		return nil
	}
	first, last, ok := parseRange(item)
	if !ok {
		return fatal(CodeCPUList, "Invalid pcpu range: %s.\n", item)
	}
	change := func(cpu int) {
		if remove {
			m.Remove(cpu)
		} else if cpu < m.Cap() {
			m.Add(cpu)
		}
	}
	for i := first; i <= min(last, 1<<20); i++ {
		if !nodes {
			change(int(i))
			continue
		}
		for cpu := range host.node(i) {
			change(cpu)
		}
	}
	return nil
}

// node yields the CPUs of NUMA node n that xl sees: it keeps them in a set made
// for node numbers, which has room for one byte's worth on small hosts.
func (h Host) node(n uint64) func(func(int) bool) {
	return func(yield func(int) bool) {
		if n >= uint64(len(h.NodeCPUs)) {
			return
		}
		room := NewBitmap(h.maxNodes()).Cap()
		for cpu := range h.NodeCPUs[n].All() {
			if cpu < room && !yield(cpu) {
				return
			}
		}
	}
}

// parseRange reads "N" or "N-M".
func parseRange(s string) (first, last uint64, ok bool) {
	first, rest, ok := scanUint(s, 10)
	if !ok || first == 1<<64-1 {
		return 0, 0, false
	}
	last = first
	if after, dash := strings.CutPrefix(rest, "-"); dash {
		last, rest, ok = scanUint(after, 10)
		if !ok || last == 1<<64-1 || last < first {
			return 0, 0, false
		}
	}
	return first, last, rest == ""
}

// FormatCPUs returns the text that xl has for the members of m below n: ranges
// such as "0-3,5", "none", or "all" if none of the n is missing.
func FormatCPUs(m Bitmap, n int) string {
	n = min(n, m.Cap())
	var parts []string
	for i := 0; i < n; i++ {
		if !m.Has(i) {
			continue
		}
		first := i
		for i+1 < n && m.Has(i+1) {
			i++
		}
		switch {
		case first == 0 && i == n-1:
			return "all"
		case first == i:
			parts = append(parts, strconv.Itoa(i))
		default:
			parts = append(parts, strconv.Itoa(first)+"-"+strconv.Itoa(i))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ",")
}

// fields cuts s at the bytes of cut and leaves out empty parts, like strtok.
func fields(s, cut string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(cut, r) })
}
