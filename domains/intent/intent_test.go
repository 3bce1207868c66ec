package intent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goxl/domains/host"
	"goxl/xenctrl/abi"
)

// A note is stale once its creation has let go of it, and not before.
func TestStale(t *testing.T) {
	h, dir := host.New(host.DefaultPaths()), filepath.Join(t.TempDir(), "creating")
	want := Record{Token: abi.UUID{1}, UUID: abi.UUID{2}, Name: "web 1\n", Paused: true}
	n, err := Begin(t.Context(), h, dir, want)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Made(7); err != nil {
		t.Fatal(err)
	}
	if list, err := Stale(h, dir); len(list) != 0 || err != nil {
		t.Errorf("while it is held: %v, %v", list, err)
	}
	if err := n.Leave(); err != nil {
		t.Fatal(err)
	}
	list, err := Stale(h, dir)
	if len(list) != 1 || err != nil {
		t.Fatalf("%v, %v", list, err)
	}
	got := list[0].Record
	if got.PID != os.Getpid() || got.Start == 0 {
		t.Errorf("process %d, started at %d", got.PID, got.Start)
	}
	want.Dom, want.PID, want.Start = 7, got.PID, got.Start
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if err := list[0].Done(); err != nil {
		t.Error(err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Errorf("%v are left", files)
	}
}

func TestRead(t *testing.T) {
	const first = `{"uuid":"02000000-0000-0000-0000-000000000000","name":"a"}` + "\n"
	for _, tt := range []struct {
		name, text string
		dom        abi.DomID
		bad        bool
	}{
		{"nothing yet", "", 0, false},
		{"half a line", first[:20], 0, false},
		{"no domain", first, 0, false},
		{"domain", first + `{"domid":7}` + "\n", 7, false},
		{"half a domain", first + `{"domid":7`, 0, false},
		{"no uuid", `{"uuid":"x"}` + "\n", 0, true},
		{"garbage", "garbage\n", 0, true},
		{"id too large", first + `{"domid":70000}` + "\n", 0, true},
		{"a special id", first + `{"domid":32752}` + "\n", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Record
			if err := r.read(strings.NewReader(tt.text)); (err != nil) != tt.bad || r.Dom != tt.dom {
				t.Errorf("domain %d, %v", r.Dom, err)
			}
		})
	}
}

// Whatever stands in a note, what is believed of it is a guest's: never domain 0,
// never a special id, and no more than was read.
func FuzzRead(f *testing.F) {
	const first = `{"uuid":"02000000-0000-0000-0000-000000000000","name":"a","paused":true,"pid":7,"start":9}` + "\n"
	for _, seed := range []string{"", first, first[:20], first + `{"domid":7}` + "\n", first + `{"domid":7}`, first + `{"domid":-1}` + "\n",
		`{"domid":32752}` + "\n", first + first, "null\n", "[]\n", "\n", `{"uuid":5}` + "\n", `{"name":"\ud800"}` + "\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		token := abi.UUID{1}
		r := Record{Token: token}
		err := r.read(strings.NewReader(text))
		if r.Dom >= abi.DomFirstReserved || r.Token != token {
			t.Errorf("read %+v", r)
		}
		if !strings.Contains(text, "\n") && (err != nil || r != Record{Token: token}) {
			t.Errorf("half a line counted: %+v, %v", r, err)
		}
		// What was cut off behind the last whole line changes nothing.
		again := Record{Token: token}
		whole := text[:strings.LastIndexByte(text, '\n')+1]
		if e := again.read(strings.NewReader(whole)); len(text) < maxNote && (again != r || (e == nil) != (err == nil)) {
			t.Errorf("%+v, %v, and without the half line %+v, %v", r, err, again, e)
		}
	})
}
