package config

import (
	"fmt"
	"reflect"

	"goxl/xenctrl/abi"
)

// AppendJSON appends the configuration to b as libxl_domain_config_to_json of the
// given release writes it, which is also what `xl -N create` prints and what
// libxl keeps as userdata. Members that the release does not know are left out.
//
// One difference is meant: 4.21 and later write some numbers of 2^31 and more as
// negative ones, and then cannot read them; here they stay as they are.
func (s *Spec) AppendJSON(b []byte, rel Release) []byte {
	return AppendJSON(b, s, rel)
}

// AppendJSON appends the JSON of a Spec, or of one of the structs in it, such as
// the *NIC that `xl -N network-attach` prints. v is a pointer to the struct.
func AppendJSON(b []byte, v any, rel Release) []byte {
	w := newJSONWriter(b, rel)
	encoder{w, rel}.object(reflect.ValueOf(v).Elem())
	if !w.jsonC {
		w.b = append(w.b, '\n')
	}
	return w.b
}

// Domain is a guest and its configuration, as `xl list -l` has it.
type Domain struct {
	ID     abi.DomID
	Config *Spec
}

// AppendList appends the JSON array that `xl list -l` prints, without the newline
// that it puts behind it.
func AppendList(b []byte, domains []Domain, rel Release) []byte {
	w := newJSONWriter(b, rel)
	w.open('[')
	for _, d := range domains {
		w.item()
		encoder{w, rel}.domain(int(d.ID), d.Config)
	}
	w.close(']')
	if !w.jsonC {
		w.b = append(w.b, '\n')
	}
	return w.b
}

// AppendDomain appends the JSON object that config-update prints. An id of -1 is
// written as null.
func AppendDomain(b []byte, id int, s *Spec, rel Release) []byte {
	w := newJSONWriter(b, rel)
	encoder{w, rel}.domain(id, s)
	if !w.jsonC {
		w.b = append(w.b, '\n')
	}
	return w.b
}

// encoder writes Go values as libxl's generated code does.
type encoder struct {
	*jsonWriter
	rel Release
}

func (e encoder) domain(id int, s *Spec) {
	e.open('{')
	e.key("domid")
	if id < 0 {
		e.null()
	} else {
		e.int(int64(id))
	}
	e.key("config")
	e.object(reflect.ValueOf(s).Elem())
	e.close('}')
}

// jsonValue is a type that libxl has a generator of its own for.
type jsonValue interface {
	isDefault() bool // and left out where it is a member
	encode(w *jsonWriter)
}

// object writes a struct, which is never left out.
func (e encoder) object(v reflect.Value) {
	e.open('{')
	holder, _ := v.Addr().Interface().(unionHolder)
	for _, m := range membersOf(v.Type()) {
		if e.rel.Before(m.since.Major, m.since.Minor) {
			continue
		}
		if m.union {
			if holder != nil {
				e.union(holder, v)
			}
			holder = nil // all of its members were seen to
			continue
		}
		f := v.FieldByIndex(m.index)
		if colo, ok := f.Interface().(NICCOLO); ok {
			e.colo(colo)
			continue
		}
		if !isDefault(f) {
			e.key(m.name)
			e.value(f)
		}
	}
	e.close('}')
}

// union writes the one member that the key of a union chose.
func (e encoder) union(holder unionHolder, v reflect.Value) {
	names, i := holder.unionNames(), holder.unionKey()
	if i < 0 || i >= len(names) || names[i] == "" {
		return
	}
	e.key(names[i])
	for _, m := range membersOf(v.Type()) {
		if f := v.FieldByIndex(m.index); m.union && m.name == names[i] && !f.IsNil() {
			e.object(f.Elem())
			return
		}
	}
	e.open('{')
	e.close('}')
}

func (e encoder) colo(c NICCOLO) {
	for _, name := range coloNames {
		if v, ok := c[name]; ok {
			e.key(name)
			e.text(v)
		}
	}
}

// isDefault reports whether a member is left out.
func isDefault(v reflect.Value) bool {
	if j, ok := v.Addr().Interface().(jsonValue); ok {
		return j.isDefault()
	}
	switch v.Kind() {
	case reflect.Struct:
		return false
	case reflect.Slice:
		return v.Len() == 0
	}
	return v.IsZero()
}

func (e encoder) value(v reflect.Value) {
	if j, ok := v.Addr().Interface().(jsonValue); ok {
		j.encode(e.jsonWriter)
		return
	}
	if t, ok := v.Interface().(interface{ texts() []string }); ok {
		if s := enumText(t.texts(), int(v.Int())); s != "" {
			e.text(s)
		} else {
			e.null()
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		e.object(v)
	case reflect.Slice:
		e.open('[')
		for i := range v.Len() {
			e.item()
			e.value(v.Index(i))
		}
		e.close(']')
	case reflect.String:
		e.text(v.String())
	case reflect.Bool:
		e.bool(v.Bool())
	case reflect.Int:
		e.int(v.Int())
	case reflect.Array: // a UUID
		e.text(v.Interface().(abi.UUID).String())
	default:
		e.uint(v.Uint())
	}
}

func (o *Opt[T]) isDefault() bool { return !o.set }

func (o *Opt[T]) encode(w *jsonWriter) {
	switch v := any(o.value).(type) {
	case string:
		w.text(v)
	case int:
		w.int(int64(v))
	case uint32:
		w.uint(uint64(v))
	case uint64:
		w.uint(v)
	case abi.KiB:
		w.uint(uint64(v))
	default:
		panic(fmt.Sprintf("config: Opt[%T] has no JSON", v))
	}
}

func (d *Defbool) isDefault() bool      { return *d == Default }
func (d *Defbool) encode(w *jsonWriter) { w.text(d.String()) }

func (m *MAC) isDefault() bool      { return *m == MAC{} }
func (m *MAC) encode(w *jsonWriter) { w.text(m.String()) }

// String returns m as six bytes in lower case with colons.
func (m MAC) String() string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

func (b *Bitmap) isDefault() bool { return b.IsEmpty() }

func (b *Bitmap) encode(w *jsonWriter) {
	w.open('[')
	for i := range b.All() {
		w.item()
		w.int(int64(i))
	}
	w.close(']')
}

func (kv *KeyValues) isDefault() bool { return len(*kv) == 0 }

func (kv *KeyValues) encode(w *jsonWriter) {
	w.open('{')
	for _, p := range *kv {
		w.key(p.Key)
		if p.Value.IsSet() {
			w.text(p.Value.Value())
		} else {
			w.null()
		}
	}
	w.close('}')
}

func (g *VMGenID) isDefault() bool { return *g == VMGenID{} }

func (g *VMGenID) encode(w *jsonWriter) {
	w.open('[')
	for _, x := range g {
		w.item()
		w.int(int64(x))
	}
	w.close(']')
}

func (p *CPUPolicy) isDefault() bool { return p.IsEmpty() }

func (p *CPUPolicy) encode(w *jsonWriter) {
	w.open('{')
	w.key("cpuid")
	w.open('[')
	for i := range p.Leaves {
		w.item()
		p.Leaves[i].encode(w)
	}
	w.close(']')
	w.key("msr")
	w.open('[')
	for _, m := range p.MSRs {
		w.item()
		w.open('{')
		w.key("index")
		w.uint32(m.Index)
		w.key("policy")
		w.text(m.Policy)
		w.close('}')
	}
	w.close(']')
	w.close('}')
}

// regNames are the registers of a CPUID leaf, by index.
var regNames = [...]string{"eax", "ebx", "ecx", "edx"}

func (l *CPUIDLeaf) encode(w *jsonWriter) {
	w.open('{')
	w.key("leaf")
	w.uint32(l.Leaf)
	if sub, ok := l.Subleaf.Get(); ok {
		w.key("subleaf")
		w.uint32(sub)
	}
	for i, reg := range l.Regs {
		if reg != "" {
			w.key(regNames[i])
			w.text(string(reg))
		}
	}
	w.close('}')
}
