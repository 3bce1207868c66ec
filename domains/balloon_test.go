package domains

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

// driver is the balloon driver of a domain in the tests.
type driver struct {
	w      *world
	id     abi.DomID
	frames []abi.MFN // what it can give
	least  abi.KiB   // it does not get smaller than that
	step   abi.KiB   // how much it gives at once
}

// mib is for short tables.
const mib abi.KiB = 1 << 10

// inflate gives a domain memory, so that it has size, and a driver that gives it back
// as its target asks for, as long as the test lasts.
func (w *world) inflate(d driver, size abi.KiB) {
	w.Helper()
	d.w = w
	id := d.id
	if err := w.m.xen.SetMaxMem(id, size+mib); err != nil {
		w.Fatal(err)
	}
	for d.size() < size {
		at := make([]abi.PFN, min(1024, uint64((size-d.size()).Pages())))
		for i := range at {
			at[i] = abi.PFN(len(d.frames) + i)
		}
		out := make([]abi.MFN, len(at))
		if n, err := w.m.xen.Populate(w.Context(), id, at, 0, 0, out); err != nil || n != len(at) {
			w.Fatalf("populate: %d of %d: %v", n, len(at), err)
		}
		d.frames = append(d.frames, out...)
	}
	for node, v := range map[string]abi.KiB{"target": size, "static-max": size} {
		if err := w.m.store.Write(w.Context(), domainPath(id)+"/memory/"+node, strconv.FormatUint(uint64(v), 10)); err != nil {
			w.Fatal(err)
		}
	}
	done := make(chan struct{})
	go d.run(done)
	w.Cleanup(func() { <-done })
}

func (d *driver) size() abi.KiB {
	info, ok := d.w.xen.Domain(d.id)
	if !ok {
		return 0
	}
	return info.Pages.KiB()
}

// run gives memory, a step every few milliseconds, until the test ends.
func (d *driver) run(done chan<- struct{}) {
	defer close(done)
	for {
		select {
		case <-d.w.Context().Done():
			return
		case <-time.After(5 * time.Millisecond):
		}
		target, err := readKiB(d.w.Context(), d.w.m.store, domainPath(d.id)+"/memory/target")
		if err != nil {
			continue // the guest has no target yet
		}
		goal := max(target, d.least)
		now := d.size()
		if now <= goal {
			continue
		}
		n := int(min(now-goal, d.step).Pages())
		give := make([]abi.GFN, n)
		for i, f := range d.frames[:n] {
			give[i] = abi.GFN(f)
		}
		d.w.m.xen.DecreaseReservation(d.w.Context(), d.id, give, 0) // the test's end may cut it short
		d.frames = d.frames[n:]
	}
}

// quickly is a pace at which tests can wait.
var quickly = pace{look: 5 * time.Millisecond, retry: 50 * time.Millisecond, progress: 500 * time.Millisecond, credit: 30 * time.Second}

// small is a host of 256 MiB, of which domain 0 has some and only a little is free.
func small(t *testing.T, dom0, left abi.KiB, d driver, commandLine string) *world {
	t.Helper()
	w := newWorld(t, xentest.Config{Memory: 256 * mib, CommandLine: commandLine})
	w.m.pace = quickly
	s := config.NewSpec(config.TypePV) // as xen-init-dom0 stores it
	s.CInfo.Name = config.Some("Domain-0")
	u, err := w.m.userdataOf(0)
	if err == nil {
		err = u.setConfig(s)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.id = 0
	w.inflate(d, dom0)
	w.inflate(driver{id: backendDom}, w.xen.FreeMemory()-left)
	return w
}

func (w *world) dom0Target() abi.KiB {
	w.Helper()
	target, _, err := w.m.dom0Memory(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return target
}

// A new guest's memory comes from domain 0 where xl.conf and Xen's command line say
// so, and a guest that is refused leaves domain 0 with the target that it had.
func TestMakeRoom(t *testing.T) {
	const dom0 = 192 * mib
	fast := driver{step: 64 * mib}
	for _, tt := range []struct {
		name        string
		autoballoon config.Defbool
		commandLine string
		driver      driver  // domain 0's
		left        abi.KiB // free before
		want        Code    // "" when the guest is made
		says        string
	}{
		{"enough is free", config.True, "none", fast, 32 * mib, "", ""},
		{"domain 0 gives", config.True, "none", fast, 4 * mib, "", ""},
		{"domain 0 gives slowly", config.True, "none", driver{step: 256}, 4 * mib, "", ""},
		{"on in spite of dom0_mem", config.True, "dom0_mem=192M", fast, 4 * mib, "", ""},
		{"auto: as on without dom0_mem", config.Default, "none", fast, 4 * mib, "", ""},
		{"auto: as off with dom0_mem", config.Default, "dom0_mem=192M", fast, 4 * mib, NoMemory, "Xen was started with dom0_mem="},
		{"off", config.False, "none", fast, 4 * mib, NoMemory, `xl.conf says autoballoon="off"`},
		{"domain 0's driver gives nothing", config.True, "none", driver{least: dom0}, 4 * mib, NoMemory, "Domain-0 up to 64 of its 192 MiB (xl mem-set 0 "},
		{"domain 0's driver stops on the way", config.True, "none", driver{least: dom0 - 8*mib, step: 2 * mib}, 4 * mib, NoMemory, "MiB short"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := small(t, dom0, tt.left, tt.driver, tt.commandLine)
			w.m.conf.Autoballoon = tt.autoballoon
			s := w.spec(config.TypePV)
			_, err := w.m.Create(t.Context(), s, CreateOptions{})
			if tt.want != "" {
				if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("Create: %v, want %q and the code %s", err, tt.says, tt.want)
				}
				if got := w.dom0Target(); got != dom0 {
					t.Errorf("domain 0's target is %d KiB, it was %d KiB", got, dom0)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := w.m.setDefaults(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			need := neededMemory(&s.BInfo)
			if want := dom0 - (need - min(need, tt.left)); w.dom0Target() != want {
				t.Errorf("domain 0's target is %d KiB, want %d KiB", w.dom0Target(), want)
			}
		})
	}
}

// A creation that ends when domain 0 has long given gives it its target back.
func TestRoomGivenBack(t *testing.T) {
	const dom0 = 192 * mib
	w := small(t, dom0, 4*mib, driver{step: 64 * mib}, "none")
	w.m.conf.Autoballoon = config.True
	ctx, cancel := context.WithCancel(t.Context())
	gave := abi.KiB(0)
	_, err := w.m.Create(ctx, w.spec(config.TypePV), CreateOptions{ConsoleReady: func(abi.DomID) {
		gave = dom0 - w.dom0Target()
		cancel()
	}})
	if !errors.Is(err, Interrupted) || gave == 0 {
		t.Fatalf("Create: %v, when domain 0 had given %d KiB", err, gave)
	}
	if got := w.dom0Target(); got != dom0 {
		t.Errorf("domain 0's target is %d KiB, it was %d KiB", got, dom0)
	}
}

// Domain 0 is not asked for more than it must keep.
func TestDom0Minimum(t *testing.T) {
	w := small(t, 136*mib, 4*mib, driver{step: 64 * mib}, "none")
	w.m.conf.Autoballoon = config.True
	_, err := w.m.Create(t.Context(), w.spec(config.TypePV), CreateOptions{})
	if !errors.Is(err, NoMemory) || !strings.Contains(err.Error(), "Domain-0 up to 8 of its 136 MiB") {
		t.Errorf("Create: %v", err)
	}
	if got := w.dom0Target(); got != 136*mib {
		t.Errorf("domain 0's target is %d KiB, it was %d KiB", got, 136*mib)
	}
	err = w.m.SetMem(t.Context(), 0, 100*mib)
	if !errors.Is(err, OutOfRange) || !strings.Contains(err.Error(), "102400 KiB is less than the 131072 KiB") {
		t.Errorf("SetMem: %v", err)
	}
}

// Memory that is set aside for another guest is not there, and the text says so.
func TestShortageWithClaim(t *testing.T) {
	w := small(t, 136*mib, 24*mib, driver{}, "none")
	w.m.conf.Autoballoon = config.False
	w.xen.AddDomain(9)
	if err := errors.Join(w.m.xen.SetMaxMem(9, 32*mib), w.m.xen.ClaimPages(9, (20*mib).Pages())); err != nil {
		t.Fatal(err)
	}
	s := w.spec(config.TypePV)
	s.BInfo.ClaimMode = config.True
	_, err := w.m.Create(t.Context(), s, CreateOptions{})
	if !errors.Is(err, NoMemory) || !strings.Contains(err.Error(), "20 MiB of that set aside for guests being built") {
		t.Errorf("Create: %v", err)
	}
	if err != nil && strings.Contains(err.Error(), " guest up to") {
		t.Errorf("the guest that is refused shall give memory to itself: %v", err)
	}
	if ids := w.xen.IDs(); len(ids) != 2 {
		t.Errorf("domains %v are left", ids)
	}
}

// A guest that does not follow its target is told of in numbers.
func TestSetMemAndWait(t *testing.T) {
	for _, tt := range []struct {
		name   string
		driver driver
		paused bool
		size   abi.KiB
		says   string // "" when it follows
	}{
		{"at once", driver{step: 64 * mib}, false, 16 * mib, ""},
		{"in time", driver{step: 2 * mib}, false, 16 * mib, ""},
		{"within the toolstack's slack", driver{least: 17 * mib, step: 64 * mib}, false, 16 * mib, ""},
		{"stops on the way", driver{least: 24 * mib, step: 4 * mib}, false, 16 * mib, "it gave 8 of 16 MiB within 300ms and has 24 MiB now (the target stays, so it may follow later"},
		{"no driver", driver{least: 64 * mib}, false, 16 * mib, "it gave 0 of 16 MiB within 300ms and has 32 MiB now (does its kernel have a balloon driver?)"},
		{"paused", driver{least: 64 * mib}, true, 16 * mib, "it gave 0 of 16 MiB within 300ms and has 32 MiB now (it is paused"},
		{"what it has already", driver{}, false, 32 * mib, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, xentest.Config{Memory: 128 * mib})
			w.m.pace = quickly
			id := w.mustCreate(w.spec(config.TypePV), CreateOptions{Paused: tt.paused})
			tt.driver.id = id
			w.inflate(tt.driver, 32*mib)
			err := w.m.SetMemAndWait(t.Context(), id, tt.size, 300*time.Millisecond)
			switch {
			case tt.says == "" && err != nil:
				t.Error(err)
			case tt.says != "" && (!errors.Is(err, NoAck) || !strings.Contains(err.Error(), tt.says)):
				t.Errorf("%v, want %q", err, tt.says)
			}
		})
	}
}
