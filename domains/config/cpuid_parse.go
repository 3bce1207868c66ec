package config

import (
	"errors"
	"fmt"
	"strings"
)

// cpuidError is an error in a cpuid setting with the number that xl gives it.
type cpuidError struct {
	num int
	msg string
}

func (e *cpuidError) Error() string { return fmt.Sprintf("error #%d: %s", e.num, e.msg) }

// SetFlag changes p as one "name=value" of a cpuid string asks, such as
// "avx2=0". Names are those of the release.
func (p *CPUPolicy) SetFlag(setting string, rel Release) error {
	name, val, ok := strings.Cut(setting, "=")
	if !ok {
		return &cpuidError{1, `missing "=" in key=value`}
	}
	for _, f := range cpuidFields {
		if f.name == name {
			return p.setField(f, val)
		}
	}
	f, ok := features()[name]
	if !ok || rel.Before(f.since.Major, f.since.Minor) {
		return &cpuidError{2, "unknown CPUID flag name"}
	}
	if f.word.msr != 0 {
		return p.setMSR(f.word.msr, f.bit, val)
	}
	return p.setField(cpuidField{name, f.word.leaf, f.word.subleaf, f.word.reg, f.bit, 1}, val)
}

var errCPUIDValue = &cpuidError{3, "illegal CPUID value (must be: [0|1|x|k|s])"}

// leaf returns the entry for a leaf, making one if there is none.
func (p *CPUPolicy) leaf(leaf uint32, subleaf Opt[uint32]) *CPUIDLeaf {
	for i := range p.Leaves {
		if l := &p.Leaves[i]; l.Leaf == leaf && l.Subleaf == subleaf {
			return l
		}
	}
	p.Leaves = append(p.Leaves, CPUIDLeaf{Leaf: leaf, Subleaf: subleaf})
	return &p.Leaves[len(p.Leaves)-1]
}

// setField sets a field of a register to a number or to one of x, k and s.
func (p *CPUPolicy) setField(f cpuidField, val string) error {
	reg := &p.leaf(f.leaf, f.subleaf).Regs[f.reg]
	num, _, isNum := scanUint(val, 0)
	var chars []byte
	switch {
	case isNum:
		for i := range f.width {
			chars = append(chars, '0'+byte(num>>(f.width-1-i)&1))
		}
	case val != "" && strings.IndexByte("xks", val[0]) >= 0:
		chars = []byte(strings.Repeat(val[:1], f.width))
	default:
		return errCPUIDValue
	}
	bits := []byte(*reg)
	if len(bits) == 0 {
		bits = []byte(strings.Repeat("x", 32))
	}
	put := func(lowest int, s []byte) { copy(bits[32-lowest-len(s):], s) }
	switch f.name {
	case "family": // split between the field and its extension
		if num < 16 {
			put(8, chars[4:])
			put(20, []byte("00000000"))
		} else {
			put(8, []byte("1111"))
			for i, rest := 0, num-15; i < 7; i, rest = i+1, rest>>1 {
				chars[7-i] = '0' + byte(rest&1)
			}
			put(20, chars)
		}
	case "model":
		put(16, chars[:4])
		put(4, chars[4:])
	default:
		put(f.bit, chars)
	}
	*reg = RegPolicy(bits)
	return nil
}

// setMSR sets one bit of an MSR to one of 0, 1, x, k and s.
func (p *CPUPolicy) setMSR(index uint32, bit int, val string) error {
	i := 0
	for i < len(p.MSRs) && p.MSRs[i].Index != index {
		i++
	}
	if i == len(p.MSRs) {
		p.MSRs = append(p.MSRs, MSRPolicy{index, strings.Repeat("x", 64)})
	}
	if len(val) != 1 || strings.IndexByte("01xks", val[0]) < 0 {
		return errCPUIDValue
	}
	bits := []byte(p.MSRs[i].Policy)
	bits[63-bit] = val[0]
	if val == "s" {
		bits[63-bit] = 'k'
	}
	p.MSRs[i].Policy = string(bits)
	return nil
}

// SetRegisters changes p as one element of a cpuid list asks, in the form of the
// days of xend: "leaf[,subleaf]:eax=<32 characters>,ebx=…". What was read before
// an error is kept.
func (p *CPUPolicy) SetRegisters(s string) error {
	leaf, rest, ok := scanUint(s, 0)
	if !ok {
		return &cpuidError{1, "illegal leaf number"}
	}
	var subleaf Opt[uint32]
	if after, comma := strings.CutPrefix(rest, ","); comma {
		var sub uint64
		if sub, rest, ok = scanUint(after, 0); !ok {
			return &cpuidError{2, "illegal subleaf number"}
		}
		subleaf = optUint32(uint32(sub))
	}
	rest, ok = strings.CutPrefix(rest, ":")
	if !ok {
		return &cpuidError{3, "missing colon"}
	}
	l := p.leaf(uint32(leaf), subleaf)
	for rest != "" {
		name, after, eq := strings.Cut(rest, "=")
		if len(rest) < 3 || rest[0] != 'e' || rest[2] != 'x' || rest[1] < 'a' || rest[1] > 'd' || !eq || name == "" {
			return &cpuidError{4, "invalid register name (must be e[abcd]x)"}
		}
		val, more, comma := strings.Cut(after, ",")
		if len(val) != 32 {
			return &cpuidError{5, "policy string must be exactly 32 characters long"}
		}
		l.Regs[rest[1]-'a'] = RegPolicy(val)
		if !comma {
			break
		}
		rest = strings.TrimLeft(more, " \n")
	}
	return nil
}

// cpuid reads the CPU policy. What is wrong in it is complained about, and does
// not keep the guest from being made.
func (b *builder) cpuid() error {
	p := &b.spec.BInfo.CPUID
	items, pr := b.list("cpuid", quiet)
	switch pr {
	case given:
		for _, item := range textsOf(items) {
			b.noteCPUID("line", item, p.SetRegisters(item))
		}
	case unusable:
		text, pr := b.text("cpuid", loud)
		words := fields(text, ",")
		if pr != given || len(words) == 0 {
			return nil
		}
		if words[0] != "host" {
			b.note(CodeCPUID, "while parsing CPUID string: \"%s\":\n  error: first word must be \"host\"\n", text)
			return nil
		}
		for _, word := range words[1:] {
			b.noteCPUID("flag", word, p.SetFlag(word, b.opts.Release))
		}
	}
	return nil
}

func (b *builder) noteCPUID(kind, item string, err error) {
	var bad *cpuidError
	if errors.As(err, &bad) {
		b.note(CodeCPUID, "while parsing CPUID %s: \"%s\":\n  %s\n", kind, item, bad)
	}
}
