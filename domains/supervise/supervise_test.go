package supervise_test

import (
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/domains/supervise"
	"goxl/xenctrl/abi"
)

var release417, _ = abi.Release(4, 17)

// A guest that reboots is built again, until it powers off; then nobody needs
// the supervisor.
func TestReboot(t *testing.T) {
	w := newWorld(t, release417)
	id := w.create(w.spec())
	w.awaitLog("to die")
	for range 2 {
		w.end(id, domains.Reboot)
		d := w.await("guest", id)
		if d.UUID != w.spec().CInfo.UUID {
			t.Errorf("uuid %s", d.UUID)
		}
		w.awaitLog(fmt.Sprintf("(domid %d)", d.ID))
		id = d.ID
	}
	w.end(id, domains.Poweroff)
	if err := w.ended(); err != nil {
		t.Error(err)
	}
	if ids := w.xen.IDs(); len(ids) != 0 {
		t.Errorf("domains %v are left", ids)
	}
	if w.records() != 0 {
		t.Error("a record is left")
	}
	pid := os.Getpid()
	want := fmt.Sprintf(`Waiting for domain guest (domid 1) to die [pid %[1]d]
Domain 1 has shut down, reason code 1 0x1
Action for shutdown reason code 1 is restart
Domain 1 needs to be cleaned up: destroying the domain
Done. Rebooting now
Waiting for domain guest (domid 2) to die [pid %[1]d]
Domain 2 has shut down, reason code 1 0x1
Action for shutdown reason code 1 is restart
Domain 2 needs to be cleaned up: destroying the domain
Done. Rebooting now
Waiting for domain guest (domid 3) to die [pid %[1]d]
Domain 3 has shut down, reason code 0 0x0
Action for shutdown reason code 0 is destroy
Domain 3 needs to be cleaned up: destroying the domain
Done. Exiting now
`, pid)
	if got := w.log(); got != want {
		t.Errorf("log:\n%s\nwant:\n%s", got, want)
	}
}

func TestActions(t *testing.T) {
	for _, tt := range []struct {
		name   string
		edit   func(*config.Spec)
		reason domains.Reason
		lines  []string
		left   int // domains afterwards
	}{
		{"preserve", func(s *config.Spec) { s.OnCrash = config.ActionPreserve }, domains.Crash,
			[]string{"reason code 3 0x3", "is preserve", "Done. Exiting now"}, 1},
		{"destroy on watchdog", func(*config.Spec) {}, domains.Watchdog, []string{"reason code 4 0x4", "is destroy", "needs to be cleaned up"}, 0},
		{"core dump", func(s *config.Spec) { s.OnCrash = config.ActionCoredumpDestroy }, domains.Crash,
			[]string{"is coredump-destroy", "dumping core to ", "needs to be cleaned up"}, 0},
		{"soft reset of a PVH guest", func(s *config.Spec) { s.OnSoftReset = config.ActionSoftReset }, domains.SoftReset,
			[]string{"is soft-reset", "Done. Rebooting now", "needs an HVM guest"}, 0},
		{"unknown reason", func(*config.Spec) {}, 9, []string{"Unknown shutdown reason code 9. Destroying domain.", "Action for shutdown reason code 9 is destroy"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, release417)
			s := w.spec()
			tt.edit(s)
			w.end(w.create(s), tt.reason)
			if err := w.ended(); err != nil {
				t.Error(err)
			}
			for _, l := range tt.lines {
				if !strings.Contains(w.log(), l) {
					t.Errorf("the log lacks %q:\n%s", l, w.log())
				}
			}
			if ids := w.xen.IDs(); len(ids) != tt.left {
				t.Errorf("domains %v, want %d", ids, tt.left)
			}
			if w.records() != 0 {
				t.Error("a record is left")
			}
		})
	}
}

// on_crash="coredump-…" leaves the dump under the guest's name, and a failed dump
// keeps nobody from what comes next.
func TestCoreDump(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(path string) error
		dumped bool
	}{
		{"dumped", func(string) error { return nil }, true},
		{"an old dump is replaced", func(path string) error { return os.WriteFile(path, []byte("old"), 0o600) }, true},
		{"cannot be written", func(path string) error { return os.Mkdir(path, 0o700) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, release417)
			s := w.spec()
			s.OnCrash = config.ActionCoredumpRestart
			path := filepath.Join(w.m.Paths().Dump, "guest")
			if err := errors.Join(os.MkdirAll(w.m.Paths().Dump, 0o700), tt.before(path)); err != nil {
				t.Fatal(err)
			}
			id := w.create(s)
			w.end(id, domains.Crash)
			d := w.await("guest", id)
			w.awaitLog("dumping core to " + path)
			f, err := elf.Open(path)
			if (err == nil) != tt.dumped {
				t.Errorf("the dump: %v; log:\n%s", err, w.log())
			}
			if err == nil {
				if f.Type != elf.ET_CORE || f.Section(".xen_pages") == nil {
					t.Errorf("%s is no dump", path)
				}
				f.Close()
			} else {
				w.awaitLog("core dump failed (rc=-3).")
			}
			w.end(d.ID, domains.Poweroff)
			if err := w.ended(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A suspended guest may be resumed and is looked after until it is destroyed.
func TestSuspended(t *testing.T) {
	w := newWorld(t, release417)
	id := w.create(w.spec())
	w.end(id, domains.Suspend)
	w.awaitLog("Domain has suspended.")
	if err := w.m.Destroy(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	w.srv.Destroy(id)
	if err := w.ended(); err != nil {
		t.Error(err)
	}
	w.awaitLog(fmt.Sprintf("Domain %d has been destroyed.", id))
}

// Nobody tells of a resume: the next end is an end all the same.
// TestStrays: who destroys a guest leaves devices that it got since he looked for them.
// They go with the guest, and those of other domains stay.
func TestStrays(t *testing.T) {
	w := newWorld(t, release417)
	ctx := t.Context()
	id := w.create(w.spec())
	w.awaitLog("to die")
	write := func(path, value string) {
		t.Helper()
		if err := w.m.Store().Write(ctx, path, value); err != nil {
			t.Fatal(err)
		}
	}
	other := "/local/domain/0/backend/vif/4000/0/state"
	write(other, "6")
	for _, d := range []string{"vif/%d/0", "qdisk/%d/51712"} {
		write(fmt.Sprintf("/local/domain/0/backend/"+d, id)+"/state", "6")
	}
	for _, dir := range []string{"/libxl/%d", "/local/domain/%d"} { // as the genuine tool does
		if err := w.m.Store().Rm(ctx, fmt.Sprintf(dir, id)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.xen.Handle().DestroyDomain(ctx, id); err != nil {
		t.Fatal(err)
	}
	w.srv.Destroy(id)
	if err := w.ended(); err != nil {
		t.Fatal(err)
	}
	for _, path := range w.srv.Paths() {
		if strings.Contains(path, fmt.Sprintf("/%d/", id)) {
			t.Errorf("%s is left", path)
		}
	}
	if there, err := w.m.Store().Exists(ctx, other); err != nil || !there {
		t.Errorf("another domain's device is gone too: %v", err)
	}
	if !strings.Contains(w.log(), "Removing vbd 51712") {
		t.Errorf("the log says nothing of it:\n%s", w.log())
	}
}

func TestResumed(t *testing.T) {
	w := newWorld(t, release417)
	id := w.create(w.spec())
	w.end(id, domains.Suspend)
	w.awaitLog("Domain has suspended.")
	if err := w.m.Resume(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	w.end(id, domains.Poweroff)
	if err := w.ended(); err != nil {
		t.Error(err)
	}
	w.awaitLog("needs to be cleaned up")
}

// A guest that moves within the host is registered as its new domain while the old
// one, of the same uuid, is still looked after.
func TestMovedWithinHost(t *testing.T) {
	w := newWorld(t, release417)
	old := w.create(w.spec())
	w.end(old, domains.Suspend)
	w.awaitLog("Domain has suspended.")
	if err := w.m.Rename(t.Context(), old, "guest--migratedaway"); err != nil {
		t.Fatal(err)
	}
	s := w.spec()
	d, err := w.m.Info(t.Context(), old)
	if err != nil {
		t.Fatal(err)
	}
	s.CInfo.UUID = d.UUID
	id := w.create(s)
	if err := w.m.Destroy(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	w.srv.Destroy(old)
	w.awaitLog(fmt.Sprintf("Waiting for domain guest (domid %d) to die", id))
	w.end(id, domains.Poweroff)
	if err := w.ended(); err != nil {
		t.Error(err)
	}
	w.awaitLog("needs to be cleaned up")
	if ids := w.xen.IDs(); len(ids) != 0 {
		t.Errorf("domains %v are left", ids)
	}
}

// What is left of a guest that has moved is not ours to end or to start again,
// whichever request is refused while we look.
func TestMigratedAway(t *testing.T) {
	for n := range int32(4) {
		t.Run(fmt.Sprintf("request %d refused", n), func(t *testing.T) {
			w := newWorld(t, release417)
			id := w.create(w.spec())
			w.awaitLog("to die")
			if err := w.m.Rename(t.Context(), id, "guest--migratedaway"); err != nil {
				t.Fatal(err)
			}
			w.refuse.Store(n)
			w.end(id, domains.Reboot)
			if err := w.ended(); err != nil {
				t.Error(err)
			}
			w.awaitLog("it is the operator's")
			if ids := w.xen.IDs(); len(ids) != 1 || ids[0] != id {
				t.Errorf("domains %v, want the one that was", ids)
			}
			if n == 1 && !strings.Contains(w.log(), "trying again") {
				t.Errorf("nothing was refused; log:\n%s", w.log())
			}
		})
	}
}

// rename-restart keeps the old domain beside the new guest.
func TestRenameRestart(t *testing.T) {
	w := newWorld(t, release417)
	s := w.spec()
	s.OnCrash = config.ActionRestartRename
	id := w.create(s)
	w.end(id, domains.Crash)
	d := w.await("guest", id)
	old, err := w.m.Info(t.Context(), id)
	if err != nil || !strings.HasPrefix(old.Name, "guest-2") || !strings.HasSuffix(old.Name, "Z") || !old.Shutdown {
		t.Errorf("the old domain: %+v, %v", old, err)
	}
	w.awaitLog("Preserving domain 1 guest with suffix-")
	// The end of the old one is none of our business, that of the new one is.
	if err := w.m.Destroy(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	w.srv.Destroy(id)
	w.end(d.ID, domains.Poweroff)
	if err := w.ended(); err != nil {
		t.Error(err)
	}
}

// A configuration that was updated is used at the next reboot, once.
func TestConfigUpdate(t *testing.T) {
	w := newWorld(t, release417)
	id := w.create(w.spec())
	if err := w.m.UpdateConfig(t.Context(), id, []byte("more")); err != nil {
		t.Fatal(err)
	}
	w.end(id, domains.Reboot)
	d := w.await("guest", id)
	if d.MaxVCPU != 1 {
		t.Errorf("%d vcpus after the update, want 2", d.MaxVCPU+1)
	}
	w.awaitLog(`"xl" configuration found, using it`)
	w.end(d.ID, domains.Poweroff)
	if err := w.ended(); err != nil {
		t.Error(err)
	}
}

// A guest that cannot be built again is let go, and the log says why.
func TestRebuildFails(t *testing.T) {
	w := newWorld(t, release417)
	s := w.spec()
	kernel := filepath.Join(w.dir, "kernel")
	data, err := os.ReadFile(s.BInfo.Kernel.Value())
	if err == nil {
		err = os.WriteFile(kernel, data, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.BInfo.Kernel = config.Some(kernel)
	id := w.create(s)
	os.Remove(kernel)
	w.end(id, domains.Reboot)
	if err := w.ended(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(w.log(), kernel+": no such file") || len(w.xen.IDs()) != 0 || w.records() != 0 {
		t.Errorf("domains %v, %d records; log:\n%s", w.xen.IDs(), w.records(), w.log())
	}
}

// There is one supervisor, and it takes further guests on.
func TestOnePerHost(t *testing.T) {
	w := newWorld(t, release417)
	id := w.create(w.spec())
	w.awaitLog("to die")
	if err := supervise.Run(t.Context(), w.options()); !errors.Is(err, supervise.ErrRunning) {
		t.Errorf("a second Run: %v", err)
	}
	second := w.spec()
	second.CInfo.Name, second.CInfo.UUID = config.Some("second"), abi.UUID{0x33}
	id2, err := w.m.Create(t.Context(), second, domains.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rec, err := supervise.NewRecord(t.Context(), w.m, id2)
	if err == nil {
		err = supervise.Register(t.Context(), w.own(), rec, func() error { t.Error("a second supervisor was started"); return nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	w.end(id, domains.Poweroff)
	w.awaitLog("Done. Exiting now")
	w.end(id2, domains.Reboot)
	w.end(w.await("second", id2).ID, domains.Poweroff)
	if err := w.ended(); err != nil {
		t.Error(err)
	}
}

// A supervisor that was killed loses nothing: not an end that nobody saw, not a
// guest between two lives.
func TestRestarted(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(w *world, id abi.DomID) // while no supervisor runs
	}{
		{"the guest ended meanwhile", func(w *world, id abi.DomID) { w.end(id, domains.Reboot) }},
		{"destroyed, not rebuilt yet", func(w *world, id abi.DomID) {
			w.rebuilding(id)
			if err := w.m.Destroy(w.Context(), id); err != nil {
				w.Fatal(err)
			}
		}},
		{"intent noted, not destroyed yet", func(w *world, id abi.DomID) {
			w.end(id, domains.Reboot)
			w.rebuilding(id)
		}},
		{"rebuilt, but not noted", func(w *world, id abi.DomID) {
			w.rebuilding(id)
			if err := w.m.Destroy(w.Context(), id); err != nil {
				w.Fatal(err)
			}
			if _, err := w.m.Create(w.Context(), w.spec(), domains.CreateOptions{Paused: true}); err != nil {
				w.Fatal(err)
			}
		}},
		{"half rebuilt", func(w *world, id abi.DomID) {
			w.rebuilding(id)
			if err := w.m.Destroy(w.Context(), id); err != nil {
				w.Fatal(err)
			}
			id, err := w.m.Create(w.Context(), w.spec(), domains.CreateOptions{Paused: true})
			if err != nil {
				w.Fatal(err)
			}
			os.Remove(filepath.Join(w.dir, fmt.Sprintf("userdata-d.%d.%s.libxl-json", id, w.spec().CInfo.UUID)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, release417)
			id := w.create(w.spec())
			w.awaitLog("to die")
			w.stop()
			if err := w.ended(); err != nil {
				t.Fatal(err)
			}
			if w.records() != 1 {
				t.Fatal("the record is gone")
			}
			tt.before(w, id)
			w.start()
			d := w.await("guest", id)
			w.awaitLog(fmt.Sprintf("(domid %d)", d.ID))
			w.end(d.ID, domains.Poweroff)
			if err := w.ended(); err != nil {
				t.Error(err)
			}
			if ids := w.xen.IDs(); len(ids) != 0 || w.records() != 0 {
				t.Errorf("domains %v and %d records are left", ids, w.records())
			}
		})
	}
}

// The same for a guest that is rebuilt beside the domain that ended, which stays.
func TestRestartedBeside(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before func(w *world, id abi.DomID) // while no supervisor runs, after the intent was noted
	}{
		{"not preserved yet", func(*world, abi.DomID) {}},
		{"preserved, not rebuilt yet", func(w *world, id abi.DomID) {
			if err := w.m.Preserve(w.Context(), id, "guest-kept"); err != nil {
				w.Fatal(err)
			}
		}},
		{"rebuilt, but not noted", func(w *world, id abi.DomID) {
			if err := w.m.Preserve(w.Context(), id, "guest-kept"); err != nil {
				w.Fatal(err)
			}
			if _, err := w.m.Create(w.Context(), w.spec(), domains.CreateOptions{Paused: true}); err != nil {
				w.Fatal(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, release417)
			id := w.create(w.spec())
			w.awaitLog("to die")
			w.stop()
			if err := w.ended(); err != nil {
				t.Fatal(err)
			}
			w.note(id, func(r *supervise.Record) { r.Rebuilding, r.Kept, r.KeptName = true, id, "guest-kept" })
			w.end(id, domains.Crash)
			tt.before(w, id)
			w.start()
			d := w.await("guest", id)
			w.awaitLog(fmt.Sprintf("(domid %d)", d.ID))
			if old, err := w.m.Info(t.Context(), id); err != nil || old.Name != "guest-kept" || !old.Shutdown {
				t.Errorf("the old domain: %+v, %v", old, err)
			}
			if ids := w.xen.IDs(); len(ids) != 2 {
				t.Errorf("domains %v, want the old one and the new one", ids)
			}
			if all := w.vms(); len(all) != 2 {
				t.Errorf("/vm has %v, want a node for each domain", all)
			}
			w.end(d.ID, domains.Poweroff)
			if err := w.ended(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A domain that was kept in an earlier life of the guest has its uuid in Xen, and is
// not taken for the guest.
func TestRestartedWithKeptOne(t *testing.T) {
	w := newWorld(t, release417)
	s := w.spec()
	s.OnCrash = config.ActionRestartRename
	first := w.create(s)
	w.end(first, domains.Crash)
	id := w.await("guest", first).ID
	w.awaitLog(fmt.Sprintf("(domid %d)", id))
	w.stop()
	if err := w.ended(); err != nil {
		t.Fatal(err)
	}
	w.rebuilding(id)
	if err := w.m.Destroy(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	w.start()
	if d := w.await("guest", id); d.ID == first {
		t.Error("the kept domain was taken for the guest")
	}
	if ids := w.xen.IDs(); len(ids) != 2 || ids[0] != first {
		t.Errorf("domains %v, want %d and a new one", ids, first)
	}
}

// A supervisor whose connection to xenstore breaks, again and again, while its guest
// lives, ends and is built anew, loses nothing.
func TestStoreLost(t *testing.T) {
	w := newWorld(t, release417)
	s := w.spec()
	s.OnCrash = config.ActionRestartRename
	id := w.create(s)
	w.awaitLog("to die")
	for _, why := range []domains.Reason{domains.Reboot, domains.Crash, domains.Reboot} {
		w.srv.Disconnect()
		w.end(id, why)
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() { // far more often than a creation takes, for longer than one does
			defer close(done)
			for range 30 {
				select {
				case <-stop:
					return
				case <-time.After(3 * time.Millisecond):
					w.srv.Disconnect()
				}
			}
		}()
		d := w.await("guest", id)
		close(stop)
		<-done
		w.awaitLog(fmt.Sprintf("(domid %d)", d.ID))
		id = d.ID
	}
	w.end(id, domains.Poweroff)
	if err := w.ended(); err != nil {
		t.Error(err)
	}
	if ids := w.xen.IDs(); len(ids) != 1 {
		t.Errorf("domains %v, want the one that is preserved", ids)
	}
}

// rebuilding notes that the guest is to be built again, as the supervisor does
// before it destroys the ended domain.
func (w *world) rebuilding(id abi.DomID) {
	w.Helper()
	w.note(id, func(r *supervise.Record) { r.Rebuilding = true })
}

// note writes a record while no supervisor runs.
func (w *world) note(id abi.DomID, edit func(*supervise.Record)) {
	w.Helper()
	rec, err := supervise.NewRecord(w.Context(), w.m, id)
	if err != nil {
		w.Fatal(err)
	}
	rec.Logged = true
	edit(rec)
	if err := supervise.Register(w.Context(), w.own(), rec, func() error { return nil }); err != nil {
		w.Fatal(err)
	}
}

// A foreground follower does the same without a record.
func TestFollow(t *testing.T) {
	w := newWorld(t, release417)
	id, err := w.m.Create(t.Context(), w.spec(), domains.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rec, err := supervise.NewRecord(t.Context(), w.m, id)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	go func() {
		w.end(id, domains.Reboot)
		w.end(w.await("guest", id).ID, domains.Poweroff)
	}()
	if err := supervise.Follow(t.Context(), w.options(), rec, &log); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "Done. Rebooting now") || !strings.HasSuffix(log.String(), "Done. Exiting now\n") {
		t.Errorf("log:\n%s", log.String())
	}
}
