package build_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"goxl/domains/build"
	"goxl/domains/image"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
	"goxl/xenstore"
	"goxl/xenstore/wire"
)

var le = binary.LittleEndian

// host is the hypervisor and xenstore that a test builds guests on.
type host struct {
	t     *testing.T
	h     *xenctrl.Handle
	store *xenstore.Client
}

func openHost(t *testing.T) *host {
	t.Helper()
	xentest.NeedXen(t)
	h, err := xenctrl.Open()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := xenstore.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return &host{t, h, c}
}

// guestFile opens a file of the guest that the lab has ready.
func guestFile(t *testing.T, name string) (*os.File, int64) {
	t.Helper()
	dir := os.Getenv("GOXL_GUEST")
	if dir == "" {
		dir = "/opt/guest"
	}
	f, err := os.Open(dir + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return f, st.Size()
}

// linux is the lab's guest, ready to be built.
func linux(t *testing.T, kind build.Kind, mem abi.KiB, vcpus int) build.Params {
	t.Helper()
	f, size := guestFile(t, "vmlinuz")
	start := time.Now()
	im, err := image.Load(f, size, image.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("kernel unpacked in %v", time.Since(start).Round(time.Millisecond))
	rd, rdSize := guestFile(t, "initrd.img")
	return build.Params{Kind: kind, Image: im, CmdLine: "console=hvc0", TimerMode: 1,
		Modules: []build.Module{{Data: rd, Size: rdSize}}, Target: mem, VCPUs: vcpus, Claim: true}
}

// create makes an empty domain that goes away with the test.
func (s *host) create(kind build.Kind, vcpus int) abi.DomID {
	s.t.Helper()
	d := &abi.CreateDomain{MaxVCPUs: uint32(vcpus), MaxEvtchnPort: 1023, MaxGrantFrames: 64, MaxMaptrackFrames: 1024, GrantVersion: 2}
	if kind == build.PVH {
		d.Flags, d.EmulationFlags = abi.CreateHVM|abi.CreateHAP, abi.EmuPVH
	}
	_, _ = rand.Read(d.Handle[:])
	id, err := s.h.CreateDomain(d)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.h.DestroyDomain(ctx, id); err != nil {
			s.t.Errorf("destroy: %v", err)
		}
	})
	return id
}

// introduce makes the guest known to xenstored, with no devices.
func (s *host) introduce(id abi.DomID, r *build.Result) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	dir := fmt.Sprintf("/local/domain/%d", id)
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = s.store.Release(ctx, id)
		if err := s.store.Rm(ctx, dir); err != nil {
			s.t.Errorf("clean xenstore: %v", err)
		}
	})
	for _, step := range []func() error{
		func() error { return s.store.Mkdir(ctx, dir) },
		func() error {
			return s.store.SetPerms(ctx, dir, []wire.Perm{{Dom: 0, Access: wire.None}, {Dom: id, Access: wire.Read}})
		},
		func() error { return s.store.Write(ctx, dir+"/name", "build-test") },
		func() error { return s.store.Write(ctx, dir+"/domid", fmt.Sprint(id)) },
		func() error { return s.store.Mkdir(ctx, dir+"/device") },
		func() error { return s.store.Introduce(ctx, id, r.Store.Frame, r.Store.Port) },
	} {
		if err := step(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// build builds guest id and says how long that took.
func (s *host) build(id abi.DomID, p build.Params) *build.Result {
	s.t.Helper()
	start := time.Now()
	r, err := build.Run(s.t.Context(), s.h, id, p)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("built in %v: %+v", time.Since(start).Round(time.Millisecond), *r)
	return r
}

// Offsets in the console ring. Source: xen/include/public/io/console.h.
const (
	ringOut     = 1024
	ringOutSize = 2048
	ringOutCons = 3072 + 8
	ringOutProd = 3072 + 12
)

// console reads what the guest prints until want is seen, playing the console
// daemon. It returns what was seen, and whether that was it.
func (s *host) console(id abi.DomID, frame abi.GFN, want string, limit time.Duration) (string, bool) {
	s.t.Helper()
	m, err := s.h.MapForeign(id, []abi.GFN{frame}, xenctrl.ProtReadWrite)
	if err != nil {
		s.t.Fatal(err)
	}
	defer m.Close()
	var text []byte
	start := time.Now()
	for !strings.Contains(string(text), want) {
		err := m.With(func(b []byte) error {
			cons, prod := le.Uint32(b[ringOutCons:]), le.Uint32(b[ringOutProd:])
			for ; cons != prod && prod-cons <= ringOutSize; cons++ {
				text = append(text, b[ringOut+cons%ringOutSize])
			}
			le.PutUint32(b[ringOutCons:], cons)
			return nil
		})
		if err != nil {
			s.t.Fatal(err)
		}
		info, err := s.h.DomainInfo(id)
		if err != nil {
			s.t.Fatal(err)
		}
		if time.Since(start) > limit || info.Shutdown() {
			s.t.Logf("no %q after %v: flags %#x, %v of CPU", want, time.Since(start), info.Flags, info.CPUTime)
			return string(text), false
		}
		time.Sleep(200 * time.Millisecond)
	}
	s.t.Logf("%q after %v", want, time.Since(start).Round(time.Millisecond))
	return string(text), true
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// TestLabBoot boots Linux as every kind of guest until its init has run.
func TestLabBoot(t *testing.T) {
	const matrix = "make matrix only" // two vcpus: guests of other tests have them, too
	for _, tt := range []struct {
		name  string
		kind  build.Kind
		mem   abi.KiB
		vcpus int
		more  string // on the command line; where it says maxcpus=, the others stay off
		where string // the release that a cover of the matrix has it on; "" is all
	}{
		{"PVH", build.PVH, 160 << 10, 1, "", ""},
		{"PV", build.PV, 160 << 10, 1, "", ""},
		{"PVH with 2 vcpus", build.PVH, 160 << 10, 2, "", matrix},
		{"PV with 2 vcpus", build.PV, 160 << 10, 2, "", matrix},
		{"PVH with 33 vcpus", build.PVH, 256 << 10, 33, " maxcpus=3", matrix},
		{"PV with 33 vcpus", build.PV, 256 << 10, 33, " maxcpus=3", "4.17"},
		{"PVH with 128 vcpus", build.PVH, 384 << 10, 128, " maxcpus=2", "4.17"},
		{"PV with 128 vcpus", build.PV, 384 << 10, 128, " maxcpus=2", matrix},
	} {
		if tt.where != "" && tt.where != os.Getenv("GOXL_XEN") && os.Getenv("GOXL_MATRIX") != "full" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			s := openHost(t)
			p := linux(t, tt.kind, tt.mem, tt.vcpus)
			p.CmdLine += tt.more
			s.boot(p)
		})
	}
}

// boot builds and starts a guest until its init has run.
func (s *host) boot(p build.Params) {
	s.t.Helper()
	id := s.create(p.Kind, p.VCPUs)
	r := s.build(id, p)
	s.introduce(id, r)
	if err := s.h.Unpause(id); err != nil {
		s.t.Fatal(err)
	}
	if text, ok := s.console(id, r.Console.Frame, "goxl-guest ready", 5*time.Minute); !ok {
		s.t.Fatalf("the console said:\n%s", tail(text, 3000))
	}
}

// TestLabOnDemand builds a guest that may grow: what it does not have yet is
// populated when it is touched. (It is not run: that takes a balloon driver that
// is told its target.)
func TestLabOnDemand(t *testing.T) {
	s := openHost(t)
	p := linux(t, build.PVH, 128<<10, 1)
	p.MaxMem = 192 << 10
	id := s.create(build.PVH, 1)
	s.build(id, p)
	pod, err := s.h.PODTarget(id)
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.h.DomainInfo(id)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v, %d pages", pod, info.Pages)
	if pod.Entries == 0 || info.Pages > 129<<8 {
		t.Errorf("%+v, %d pages", pod, info.Pages)
	}
}
