package config

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"goxl/xenctrl/abi"
)

// specOptions let go-cmp look into a Spec.
var specOptions = cmp.Options{
	cmp.Exporter(func(t reflect.Type) bool { return strings.HasPrefix(t.Name(), "Opt[") }),
	cmp.Comparer(func(a, b Bitmap) bool { return FormatCPUs(a, a.Cap()+1) == FormatCPUs(b, b.Cap()+1) }),
}

// TestJSONRoundTrip reads back what the genuine xl printed, and writes it again.
func TestJSONRoundTrip(t *testing.T) {
	for _, f := range readCorpus(t) {
		for _, c := range f.cases {
			for name, a := range c.answers {
				if a.Exit != 0 || !strings.HasPrefix(a.Stdout, "{") || c.name == "negative" || deviations[c.name] != "" {
					continue // libxl cannot read a maxmem of -1 either
				}
				rel, _ := parseRelease(name)
				s, err := DecodeJSON([]byte(a.Stdout))
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
					continue
				}
				if diff := cmp.Diff(a.Stdout, string(s.AppendJSON(nil, rel))); diff != "" {
					t.Errorf("%s (- genuine, + ours)\n%s", c.name, diff)
				}
			}
		}
	}
}

// TestTags reads every struct tag of a Spec.
func TestTags(t *testing.T) {
	var visit func(reflect.Type)
	visit = func(typ reflect.Type) {
		switch typ.Kind() {
		case reflect.Slice, reflect.Pointer:
			visit(typ.Elem())
		case reflect.Struct:
			for i := range typ.NumField() {
				f := typ.Field(i)
				tag, ok := f.Tag.Lookup("xl")
				if !ok {
					return // not one of a Spec's own
				}
				for _, opt := range strings.Split(tag, ",")[1:] {
					since, isSince := strings.CutPrefix(opt, "since=")
					rel, err := parseRelease(since)
					if isSince && (err != nil || rel.Before(4, 15) || Newest.Before(rel.Major, rel.Minor)) {
						t.Errorf("%s.%s: since %q", typ, f.Name, since)
					}
					if !isSince && opt != "union" && opt != "inline" {
						t.Errorf("%s.%s: option %q", typ, f.Name, opt)
					}
				}
				visit(f.Type)
			}
		}
	}
	visit(reflect.TypeFor[Spec]())
}

// TestJSONAnySpec writes and reads random Specs, in each release's layout.
func TestJSONAnySpec(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := new(Spec)
		fill(t, reflect.ValueOf(s).Elem())
		for _, rel := range []Release{Oldest, {4, 20}, {4, 21}, Newest} {
			text := s.AppendJSON(nil, rel)
			back, err := DecodeJSON(text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if again := back.AppendJSON(nil, rel); !bytes.Equal(text, again) {
				t.Fatalf("%v: %s", rel, cmp.Diff(string(text), string(again)))
			}
			if rel == Newest {
				if diff := cmp.Diff(s, back, specOptions); diff != "" {
					t.Fatalf("%s", diff)
				}
			}
		}
	})
}

// fill sets v and all that is in it to random values that can be written.
func fill(t *rapid.T, v reflect.Value) {
	few := rapid.IntRange(0, 2)
	switch p := v.Addr().Interface().(type) {
	case *Opt[string]:
		*p = some(t, rapid.StringMatching(`[ -~\n\x7f]*`))
		return
	case *Opt[int]:
		*p = some(t, rapid.IntRange(0, 1<<31-1))
		return
	case *Opt[uint32]:
		*p = some(t, rapid.Uint32Range(0, 1<<32-2))
		return
	case *Opt[uint64]:
		*p = some(t, rapid.Uint64Range(0, 1<<63-1))
		return
	case *MemKB:
		*p = some(t, rapid.Custom(func(t *rapid.T) abi.KiB { return abi.KiB(rapid.Uint64Range(0, 1<<63-1).Draw(t, "kib")) }))
		return
	case *Defbool:
		*p = Defbool(rapid.IntRange(-1, 1).Draw(t, "bool"))
		return
	case *Bitmap:
		*p = BitmapOf(rapid.SliceOfN(rapid.IntRange(0, 300), 0, 5).Draw(t, "bits")...)
		return
	case *NICCOLO:
		if few.Draw(t, "colo") == 0 {
			*p = NICCOLO{coloNames[rapid.IntRange(0, len(coloNames)-1).Draw(t, "name")]: "x"}
		}
		return
	case *KeyValues:
		if few.Draw(t, "pairs") == 0 {
			*p = KeyValues{{"a", Some("b")}, {"c", Opt[string]{}}}
		}
		return
	case *CPUPolicy:
		fillPolicy(t, p)
		return
	}
	if e, ok := v.Interface().(interface{ texts() []string }); ok {
		for i := rapid.IntRange(0, len(e.texts())-1).Draw(t, "enum"); ; i++ {
			if e.texts()[i] != "" || i == 0 {
				v.SetInt(int64(i))
			}
			if e.texts()[i] != "" {
				return
			}
		}
	}
	switch v.Kind() {
	case reflect.Struct:
		fillStruct(t, v)
	case reflect.Slice:
		n := few.Draw(t, "len")
		if n == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range v.Len() {
			fill(t, v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(rapid.Byte().Draw(t, "byte")))
		}
	case reflect.String:
		v.SetString(rapid.StringN(0, 5, -1).Filter(func(s string) bool { return !strings.Contains(s, "\x00") }).Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int:
		v.SetInt(int64(rapid.Int32().Draw(t, "int")))
	default:
		v.SetUint(rapid.Uint64().Draw(t, "uint") >> 1 & (1<<v.Type().Bits() - 1) >> 1)
	}
}

func fillStruct(t *rapid.T, v reflect.Value) {
	holder, isHolder := v.Addr().Interface().(unionHolder)
	if isHolder {
		holder.setUnionKey(rapid.IntRange(1, len(holder.unionNames())-1).Draw(t, "key"))
	}
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case f.Kind() == reflect.Pointer && !f.IsNil():
			fill(t, f.Elem())
		case f.Kind() != reflect.Pointer && v.Type().Field(i).Tag.Get("xl") != "-":
			fill(t, f)
		}
	}
}

func some[T comparable](t *rapid.T, g *rapid.Generator[T]) Opt[T] {
	if rapid.Bool().Draw(t, "set") {
		return Some(g.Draw(t, "value"))
	}
	return Opt[T]{}
}

func fillPolicy(t *rapid.T, p *CPUPolicy) {
	names := []string{"avx2", "family", "svm", "rdcl-no", "lfence+"}
	for range rapid.IntRange(0, 2).Draw(t, "flags") {
		name := names[rapid.IntRange(0, len(names)-1).Draw(t, "flag")]
		if err := p.SetFlag(name+"="+rapid.SampledFrom([]string{"0", "1", "x", "k"}).Draw(t, "val"), Newest); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDecodeJSON(t *testing.T) {
	for _, tt := range []struct {
		name, json string
		want       string // in the error, or "" for none
		check      func(*Spec) bool
	}{
		{"empty object", `{}`, "", func(s *Spec) bool { return s.CInfo.Type == TypeInvalid }},
		{"unknown members", `{"foo": [1, {"x": null}], "c_info": {"name": "a", "bar": 1.5}}`, "", func(s *Spec) bool { return s.CInfo.Name.Value() == "a" }},
		{"wrong kind is passed over", `{"c_info": {"name": 7, "hap": true}, "disks": {}}`, "", func(s *Spec) bool { return !s.CInfo.Name.IsSet() && s.CInfo.HAP == Default }},
		{"first of two wins", `{"c_info": {"name": "a", "name": "b"}}`, "", func(s *Spec) bool { return s.CInfo.Name.Value() == "a" }},
		{"null text", `{"c_info": {"name": null}}`, "", func(s *Spec) bool { return !s.CInfo.Name.IsSet() }},
		{"comments", "/* a */ { // b\n }", "", func(*Spec) bool { return true }},
		{"latin-1 bytes", "{\"c_info\": {\"name\": \"caf\xe9\"}}", "", func(s *Spec) bool { return s.CInfo.Name.Value() == "caf\xe9" }},
		{"unicode escape", `{"c_info": {"name": "caf\u00e9 \ud83d\ude00"}}`, "", func(s *Spec) bool { return s.CInfo.Name.Value() == "café 😀" }},
		{"trailing zero bytes", "{}\x00\x00", "", func(*Spec) bool { return true }},
		{"old CPU policy", `{"b_info": {"cpuid": [{"leaf": 1, "ecx": "x"}]}}`, "", func(s *Spec) bool { return len(s.BInfo.CPUID.Leaves) == 1 }},
		{"negative leaf of json-c", `{"b_info": {"cpuid": {"cpuid": [{"leaf": -2147483647}], "msr": []}}}`, "", func(s *Spec) bool { return s.BInfo.CPUID.Leaves[0].Leaf == 0x80000001 }},
		{"memory default", `{"b_info": {"max_memkb": 18446744073709551615}}`, "", func(s *Spec) bool { return !s.BInfo.MaxMem.IsSet() }},
		{"pty channel", `{"channels": [{"connection.pty": {}}]}`, "", func(s *Spec) bool { return s.Channels[0].Connection == ChannelPTY }},
		{"unknown enum", `{"on_reboot": "explode"}`, `"explode" is none of`, nil},
		{"enum in capitals", `{"on_reboot": "PRESERVE"}`, "", func(s *Spec) bool { return s.OnReboot == ActionPreserve }},
		{"number too large", `{"b_info": {"max_vcpus": 4294967296}}`, "out of range", nil},
		{"negative unsigned", `{"b_info": {"event_channels": -1}}`, "out of range", nil},
		{"bad UUID", `{"c_info": {"uuid": "x"}}`, "no UUID", nil},
		{"bad MAC", `{"nics": [{"mac": "1:2:3:4:5:6"}]}`, "no MAC", nil},
		{"two types", `{"b_info": {"type.pv": {}, "type.hvm": {}}}`, "contradicts", nil},
		{"no object", `[]`, "want an object", nil},
		{"cut", `{"c_info": {"name": "a`, "does not end", nil},
		{"empty", ``, "too early", nil},
		{"two values", `{} {}`, "something follows", nil},
		{"deep", strings.Repeat("[", 1000), "too deeply", nil},
		{"huge bitmap", `{"b_info": {"cpumap": [1000000000]}}`, "below", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := DecodeJSON([]byte(tt.json))
			var bad *Error
			switch {
			case tt.want == "" && err != nil:
				t.Fatal(err)
			case tt.want == "" && !tt.check(s):
				t.Errorf("read %+v", s)
			case tt.want != "" && (!errors.As(err, &bad) || bad.Code() != CodeJSON || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestJSONLayouts shows both layouts, with what is empty in them.
func TestJSONLayouts(t *testing.T) {
	n := NIC{IP: Some("1/2\x01\"é")}
	yajl := "{\n    \"ip\": \"1/2\\u0001\\\"é\"\n}\n"
	if got := string(AppendJSON(nil, &n, Release{4, 20})); got != yajl {
		t.Errorf("got %q, want %q", got, yajl)
	}
	jsonC := "{\n  \"ip\":\"1\\/2\\u0001\\\"é\"\n}"
	if got := string(AppendJSON(nil, &n, Release{4, 21})); got != jsonC {
		t.Errorf("got %q, want %q", got, jsonC)
	}
	for _, tt := range []struct {
		rel  Release
		want string
	}{{Release{4, 20}, "[\n\n]\n"}, {Release{4, 21}, "[]"}} {
		if got := string(AppendList(nil, nil, tt.rel)); got != tt.want {
			t.Errorf("%v: empty list %q, want %q", tt.rel, got, tt.want)
		}
	}
	if got := string(AppendJSON(nil, new(VNode), Release{4, 20})); got != "{\n\n}\n" {
		t.Errorf("empty object %q", got)
	}
}

func FuzzDecodeJSON(f *testing.F) {
	for _, file := range readCorpus(f)[:3] {
		for _, c := range file.cases[:min(len(file.cases), 8)] {
			for _, a := range c.answers {
				f.Add([]byte(a.Stdout))
			}
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		s, err := DecodeJSON(src)
		if err != nil {
			return
		}
		for _, rel := range []Release{Oldest, Newest} {
			text := s.AppendJSON(nil, rel)
			again, err := DecodeJSON(text)
			if err != nil {
				t.Fatalf("%v: %v\n%s", rel, err, text)
			}
			if b := again.AppendJSON(nil, rel); !bytes.Equal(b, text) {
				t.Fatalf("%v: %s", rel, cmp.Diff(string(text), string(b)))
			}
		}
	})
}

func ExampleDecodeJSON() {
	s, err := DecodeJSON([]byte(`{"c_info": {"type": "pvh", "name": "web"}, "b_info": {"max_memkb": 524288, "type.pvh": {}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.CInfo.Name, s.BInfo.Type, s.BInfo.MaxMem, "KiB")
	// Output: web pvh 524288 KiB
}
