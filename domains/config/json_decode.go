package config

import (
	"math"
	"reflect"
	"strings"

	"goxl/xenctrl/abi"
)

// DecodeJSON reads a configuration that libxl of any release wrote: userdata of a
// guest, or what `xl -N create` prints. Like libxl it passes over members that it
// does not know, or that are not of the kind they should be, and fails on values
// that a member cannot have. The error is an *[Error].
func DecodeJSON(src []byte) (*Spec, error) {
	s := new(Spec)
	if err := decodeInto(s, src); err != nil {
		return nil, err
	}
	return s, nil
}

func decodeInto(v any, src []byte) error {
	n, err := readJSON(src)
	if err != nil {
		return err
	}
	if n.kind != jsonObject {
		return jsonError(src, n.pos, "want an object")
	}
	d := decoder{src}
	return d.object(reflect.ValueOf(v).Elem(), n)
}

// decoder reads Go values as libxl's generated code does.
type decoder struct{ src []byte }

func (d decoder) fail(n *jsonNode, format string, args ...any) error {
	return jsonError(d.src, n.pos, format, args...)
}

// jsonTarget is a type that libxl has a parser of its own for.
type jsonTarget interface {
	wants(jsonKind) bool // or a member of that kind is passed over
	decode(d decoder, n *jsonNode) error
}

func (d decoder) object(v reflect.Value, n *jsonNode) error {
	holder, _ := v.Addr().Interface().(unionHolder)
	for _, m := range membersOf(v.Type()) {
		if m.union {
			if holder != nil {
				if err := d.union(holder, v, n); err != nil {
					return err
				}
			}
			holder = nil
			continue
		}
		f := v.FieldByIndex(m.index)
		if colo, ok := f.Addr().Interface().(*NICCOLO); ok {
			decodeCOLO(colo, n)
			continue
		}
		val := n.get(m.name)
		if val == nil || !wants(f, val.kind) {
			continue
		}
		if err := d.value(f, val); err != nil {
			return err
		}
	}
	return nil
}

// union finds out what the key chose from the member that is there.
func (d decoder) union(holder unionHolder, v reflect.Value, n *jsonNode) error {
	chosen := false
	for i, name := range holder.unionNames() {
		val := n.get(name)
		if name == "" || val == nil || val.kind != jsonObject {
			continue
		}
		if chosen {
			return d.fail(val, "%s contradicts an earlier member", name)
		}
		chosen = true
		holder.setUnionKey(i)
		for _, m := range membersOf(v.Type()) {
			if f := v.FieldByIndex(m.index); m.union && m.name == name {
				if err := d.object(f.Elem(), val); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func decodeCOLO(c *NICCOLO, n *jsonNode) {
	for _, name := range coloNames {
		if val := n.get(name); val != nil && val.kind == jsonString {
			if *c == nil {
				*c = NICCOLO{}
			}
			(*c)[name] = val.text
		}
	}
}

// wants reports whether a member may be of the kind.
func wants(v reflect.Value, k jsonKind) bool {
	if t, ok := v.Addr().Interface().(jsonTarget); ok {
		return t.wants(k)
	}
	if _, ok := v.Interface().(interface{ texts() []string }); ok {
		return k == jsonString
	}
	switch v.Kind() {
	case reflect.Struct:
		return k == jsonObject
	case reflect.Slice:
		return k == jsonArray
	case reflect.String, reflect.Array:
		return k == jsonString
	case reflect.Bool:
		return k == jsonBool
	}
	return k == jsonInt
}

func (d decoder) value(v reflect.Value, n *jsonNode) error {
	if t, ok := v.Addr().Interface().(jsonTarget); ok {
		return t.decode(d, n)
	}
	if t, ok := v.Interface().(interface{ texts() []string }); ok {
		return d.enum(v, t.texts(), n)
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.object(v, n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
		for i, item := range n.items {
			if err := d.value(v.Index(i), item); err != nil {
				return err
			}
		}
		return nil
	case reflect.String:
		if n.kind != jsonString {
			return d.fail(n, "want a string")
		}
		v.SetString(n.text)
		return nil
	case reflect.Bool:
		v.SetBool(n.bool)
		return nil
	case reflect.Array:
		id, ok := abi.ParseUUID(n.text)
		if !ok {
			return d.fail(n, "%q is no UUID", n.text)
		}
		v.Set(reflect.ValueOf(id))
		return nil
	case reflect.Int:
		i, err := d.int32(n)
		v.SetInt(i)
		return err
	}
	if n.kind != jsonInt || n.int < 0 || v.OverflowUint(uint64(n.int)) {
		return d.fail(n, "%s is out of range", n.text)
	}
	v.SetUint(uint64(n.int))
	return nil
}

func (d decoder) int32(n *jsonNode) (int64, error) {
	if n.kind != jsonInt || n.int < math.MinInt32 || n.int > math.MaxInt32 {
		return 0, d.fail(n, "%s is out of range", n.text)
	}
	return n.int, nil
}

func (d decoder) enum(v reflect.Value, texts []string, n *jsonNode) error {
	for i, text := range texts {
		if n.kind == jsonString && text != "" && strings.EqualFold(text, n.text) {
			v.SetInt(int64(i))
			return nil
		}
	}
	return d.fail(n, "%q is none of %s", n.text, strings.Join(texts, ", "))
}

func (o *Opt[T]) wants(k jsonKind) bool {
	if _, ok := any(o.value).(string); ok {
		return k == jsonString || k == jsonNull
	}
	return k == jsonInt
}

func (o *Opt[T]) decode(d decoder, n *jsonNode) error {
	var v any
	switch any(o.value).(type) {
	case string:
		if n.kind != jsonString {
			*o = Opt[T]{}
			return nil
		}
		v = n.text
	case int:
		i, err := d.int32(n)
		if err != nil || i == -1 {
			*o = Opt[T]{}
			return err
		}
		v = int(i)
	case uint32:
		if n.int < 0 || n.int > math.MaxUint32 {
			return d.fail(n, "%s is out of range", n.text)
		}
		if n.int == math.MaxUint32 {
			*o = Opt[T]{}
			return nil
		}
		v = uint32(n.int)
	case uint64:
		if n.int < 0 {
			return d.fail(n, "%s is out of range", n.text)
		}
		v = uint64(n.int)
	case abi.KiB:
		if n.int < 0 {
			return d.fail(n, "%s is out of range", n.text)
		}
		v = abi.KiB(n.int)
	}
	*o = Some(v.(T))
	return nil
}

func (b *Defbool) wants(k jsonKind) bool { return k == jsonString }

func (b *Defbool) decode(d decoder, n *jsonNode) error {
	for _, v := range []Defbool{Default, True, False} {
		if strings.HasPrefix(n.text, v.String()) {
			*b = v
			return nil
		}
	}
	return d.fail(n, "%q is none of True, False, <default>", n.text)
}

func (m *MAC) wants(k jsonKind) bool { return k == jsonString }

func (m *MAC) decode(d decoder, n *jsonNode) error {
	mac, ok := ParseMAC(n.text)
	if !ok {
		return d.fail(n, "%q is no MAC address", n.text)
	}
	*m = mac
	return nil
}

// ParseMAC reads six bytes of two hexadecimal digits with colons between them.
func ParseMAC(s string) (MAC, bool) {
	var m MAC
	if len(s) != 17 {
		return m, false
	}
	for i := range m {
		hi, lo := digitOf(s[3*i]), digitOf(s[3*i+1])
		if hi > 15 || lo > 15 || i < 5 && s[3*i+2] != ':' {
			return MAC{}, false
		}
		m[i] = byte(hi<<4 | lo)
	}
	return m, true
}

// maxBit bounds the numbers in a bitmap, of CPUs or of vcpus.
const maxBit = 1 << 16

func (b *Bitmap) wants(k jsonKind) bool { return k == jsonArray }

func (b *Bitmap) decode(d decoder, n *jsonNode) error {
	*b = nil
	for _, item := range n.items {
		if item.kind != jsonInt || item.int < 0 || item.int >= maxBit {
			return d.fail(item, "want a number below %d", maxBit)
		}
		b.Add(int(item.int))
	}
	return nil
}

func (kv *KeyValues) wants(k jsonKind) bool { return k == jsonObject }

func (kv *KeyValues) decode(d decoder, n *jsonNode) error {
	*kv = nil
	for i, item := range n.items {
		p := KeyValue{Key: n.keys[i]}
		switch item.kind {
		case jsonString:
			p.Value = Some(item.text)
		case jsonNull:
		default:
			return d.fail(item, "want a string or null")
		}
		*kv = append(*kv, p)
	}
	return nil
}

func (g *VMGenID) wants(jsonKind) bool { return true }

func (g *VMGenID) decode(d decoder, n *jsonNode) error {
	if n.kind != jsonArray || len(n.items) < len(g) {
		return d.fail(n, "want an array of %d numbers", len(g))
	}
	for i := range g {
		if n.items[i].kind != jsonInt {
			return d.fail(n.items[i], "want a number")
		}
		g[i] = byte(n.items[i].int)
	}
	return nil
}

func (p *CPUPolicy) wants(jsonKind) bool { return true }

// decode reads the object of today, or the bare array of leaves of old.
func (p *CPUPolicy) decode(d decoder, n *jsonNode) error {
	*p = CPUPolicy{}
	leaves := n
	if n.kind == jsonObject {
		leaves = n.get("cpuid")
	}
	if leaves == nil || leaves.kind != jsonArray {
		return d.fail(n, "want the leaves of a CPU policy")
	}
	for _, item := range leaves.items {
		if item.kind != jsonObject {
			return d.fail(item, "want a leaf of a CPU policy")
		}
		if item.get("leaf") == nil {
			break // the mark that ends libxl's list
		}
		p.Leaves = append(p.Leaves, decodeLeaf(item))
	}
	if n.kind == jsonArray {
		return nil
	}
	msrs := n.get("msr")
	if msrs == nil || msrs.kind != jsonArray {
		return d.fail(n, "want the MSRs of a CPU policy")
	}
	for _, item := range msrs.items {
		index, policy := item.get("index"), item.get("policy")
		if index == nil || index.kind != jsonInt || policy == nil || policy.kind != jsonString || len(policy.text) != 64 {
			return d.fail(item, "want an MSR's index and its policy of 64 characters")
		}
		p.MSRs = append(p.MSRs, MSRPolicy{uint32(index.int), policy.text})
	}
	return nil
}

func decodeLeaf(n *jsonNode) CPUIDLeaf {
	l := CPUIDLeaf{Leaf: math.MaxUint32}
	if v := n.get("leaf"); v != nil && v.kind == jsonInt {
		l.Leaf = uint32(v.int)
	}
	if v := n.get("subleaf"); v != nil && v.kind == jsonInt {
		l.Subleaf = optUint32(uint32(v.int))
	}
	for i, name := range regNames {
		if v := n.get(name); v != nil && v.kind == jsonString {
			l.Regs[i] = RegPolicy(v.text)
		}
	}
	return l
}
