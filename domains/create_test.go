package domains

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

var kinds = []config.DomainType{config.TypePV, config.TypePVH}

// mustCreate creates a guest that nothing stands against.
func (w *world) mustCreate(s *config.Spec, o CreateOptions) abi.DomID {
	w.Helper()
	id, err := w.m.Create(w.Context(), s, o)
	if err != nil {
		w.Fatal(err)
	}
	return id
}

func TestCreateAndDestroy(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, xentest.Config{})
			tl := NewTimeline()
			asked := 0
			id := w.mustCreate(w.spec(kind), CreateOptions{Timeline: tl, ConsoleReady: func(abi.DomID) { asked++ }})
			d, ok := w.xen.Domain(id)
			if !ok || d.Paused || d.VCPUs != 1 {
				t.Errorf("domain %d: %+v", id, d)
			}
			if asked != 1 {
				t.Errorf("told %d times that the console is ready", asked)
			}
			if len(tl.Steps()) < 10 {
				t.Errorf("the timeline has %d steps", len(tl.Steps()))
			}
			if got, err := w.m.TypeOf(t.Context(), id); err != nil || got.String() != kind.String() {
				t.Errorf("type %v, %v", got, err)
			}
			if got, err := w.m.Find(t.Context(), "guest"); err != nil || got != id {
				t.Errorf("found %d, %v", got, err)
			}
			w.checkStored(id, d.Created.Handle)
			if err := w.m.Destroy(t.Context(), id); err != nil {
				t.Error(err)
			}
			w.nothingLeft()
			if recent, err := w.m.host.IsRecent(id, w.m.reuse); err != nil || !recent {
				t.Errorf("the id does not rest: %v, %v", recent, err)
			}
		})
	}
}

// checkStored looks at the file that libxl keeps about the guest.
func (w *world) checkStored(id abi.DomID, u abi.UUID) {
	w.Helper()
	path := filepath.Join(w.dir, fmt.Sprintf("userdata-d.%d.%s.libxl-json", id, u))
	data, err := os.ReadFile(path)
	if err != nil {
		w.Fatal(err)
	}
	if fi, _ := os.Stat(path); fi.Mode().Perm() != 0o600 {
		w.Errorf("mode %v", fi.Mode())
	}
	if !bytes.HasSuffix(data, []byte("}\n\x00")) || bytes.Count(data, []byte{0}) != 1 {
		w.Errorf("the file ends in %q", data[len(data)-3:])
	}
	for _, want := range []string{`"devid": 0`, `"mac": "00:16:3e:`, `"uuid": "` + u.String(), `"msr_relaxed": "False"`, `"domid": 4294967295`} {
		if !bytes.Contains(data, []byte(want)) {
			w.Errorf("it lacks %s:\n%s", want, data)
		}
	}
	s, err := w.m.ConfigOf(w.Context(), id)
	if err != nil {
		w.Fatal(err)
	}
	if s.BInfo.TargetMem.Value() != 16<<10 || len(s.Disks) != 1 || len(s.NICs) != 1 || s.BInfo.AvailVCPUs.Count() != 1 {
		w.Errorf("configuration now: %+v", s)
	}
}

// Whatever hypercall of a creation fails, nothing is left of it.
func TestCreateFaultWalk(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			w := newWorld(t, xentest.Config{})
			before := len(w.xen.Calls())
			id := w.mustCreate(w.spec(kind), CreateOptions{})
			n := len(w.xen.Calls()) - before
			if err := w.m.Destroy(t.Context(), id); err != nil {
				t.Fatal(err)
			}
			w.nothingLeft()
			failed := 0
			for i := 1; i <= n && !t.Failed(); i++ {
				calls := len(w.xen.Calls())
				w.xen.FailAt(i, syscall.EPERM)
				id, err := w.m.Create(t.Context(), w.spec(kind), CreateOptions{})
				w.xen.FailAt(0, 0)
				if err == nil { // a call whose failure does not matter
					err = w.m.Destroy(t.Context(), id)
					if err != nil {
						t.Fatal(err)
					}
				} else {
					failed++
				}
				w.nothingLeft()
				if t.Failed() {
					t.Logf("hypercall %d of %d, %s: %v", i, n, w.xen.Calls()[calls+i-1], err)
				}
				os.Remove(filepath.Join(w.dir, "domid-history")) // ids need not rest here
			}
			t.Logf("%d hypercalls, of which %d can end a creation", n, failed)
		})
	}
}

// A creation that is called off leaves nothing either.
func TestCreateCancelled(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	_, err := w.m.Create(ctx, w.spec(config.TypePVH), CreateOptions{ConsoleReady: func(abi.DomID) { cancel() }})
	if !errors.Is(err, Interrupted) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	w.nothingLeft()
}

func TestCreateRefuses(t *testing.T) {
	w := newWorld(t, xentest.Config{CommandLine: "dom0_mem=512M"})
	for _, tt := range []struct {
		name string
		edit func(*config.Spec)
		code Code
		rc   int
		text string
	}{
		{"no name", func(s *config.Spec) { s.CInfo.Name = config.Opt[string]{} }, BadConfig, -6, "no name"},
		{"name taken", func(s *config.Spec) { s.CInfo.Name = config.Some("backend") }, NameTaken, -6, "domain 5 has that name"},
		{"no kernel", func(s *config.Spec) { s.BInfo.Kernel = config.Some("/nowhere") }, NoFile, -3, "/nowhere: no such file"},
		{"directory as kernel", func(s *config.Spec) { s.BInfo.Kernel = config.Some("/") }, NoFile, -3, "not a regular file"},
		{"PCI", func(s *config.Spec) { s.PCIDevs = make([]config.PCIDev, 1) }, Unsupported, -4, "pci="},
		{"USB", func(s *config.Spec) { s.USBDevs = make([]config.USBDev, 1) }, Unsupported, -4, "usbdev="},
		{"vTPM", func(s *config.Spec) { s.VTPMs = make([]config.VTPM, 1) }, Unsupported, -4, "vtpm="},
		{"pvcalls", func(s *config.Spec) { s.PVCallsIfs = make([]config.PVCallsIf, 1) }, Unsupported, -4, "pvcalls="},
		{"HVM", func(s *config.Spec) { *s = *config.NewSpec(config.TypeHVM) }, Unsupported, -4, "HVM guests"},
		{"pool", func(s *config.Spec) { s.CInfo.PoolName = config.Some("x") }, BadConfig, -6, `pool="x"`},
		{"memory", func(s *config.Spec) {
			s.BInfo.TargetMem, s.BInfo.MaxMem = config.Some(abi.KiB(1<<30)), config.Some(abi.KiB(1<<30))
		},
			NoMemory, -3, "MiB free"},
		{"too little memory for the kernel", func(s *config.Spec) {
			s.BInfo.TargetMem, s.BInfo.MaxMem = config.Some(abi.KiB(512)), config.Some(abi.KiB(512))
		},
			BadConfig, -6, "too small"},
		{"garbage as kernel", func(s *config.Spec) { s.BInfo.Kernel = config.Some("create_test.go") }, BadKernel, -3, "kernel create_test.go: "},
		{"domain id in use", func(s *config.Spec) { s.CInfo.DomID = backendDom }, DomIDTaken, -3, "domain 5 exists"},
		{"backend domain", func(s *config.Spec) { s.Disks[0].Backend = config.Backend{Name: config.Some("nobody")} }, NoName, -6, "backend=nobody"},
		{"missing disk", func(s *config.Spec) { s.Disks[0].Backend = config.Backend{} }, NoFile, -3, "/dev/x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := w.spec(config.TypePVH)
			tt.edit(s)
			_, err := w.m.Create(t.Context(), s, CreateOptions{})
			if CodeOf(err) != string(tt.code) || RCOf(err) != tt.rc || !errors.Is(err, tt.code) {
				t.Errorf("code %s, rc %d, want %s and %d: %v", CodeOf(err), RCOf(err), tt.code, tt.rc, err)
			}
			if err == nil || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %q does not say %q", err, tt.text)
			}
			w.nothingLeft()
		})
	}
}

// An id that was in use a moment ago is not given out.
func TestCreateLetsIDsRest(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	s := w.spec(config.TypePVH)
	s.CInfo.DomID = 9
	if err := w.m.host.MarkRecent(t.Context(), 9, w.m.reuse); err != nil {
		t.Fatal(err)
	}
	if _, err := w.m.Create(t.Context(), s, CreateOptions{}); !errors.Is(err, DomIDTaken) {
		t.Errorf("error %v", err)
	}
	w.nothingLeft()
	for id := abi.DomID(1); id < 4; id++ {
		if err := w.m.host.MarkRecent(t.Context(), id, w.m.reuse); err != nil {
			t.Fatal(err)
		}
	}
	s.CInfo.DomID = 0
	if id := w.mustCreate(s, CreateOptions{}); id < 4 {
		t.Errorf("domain id %d", id)
	}
}
