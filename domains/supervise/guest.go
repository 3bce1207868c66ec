package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// fate is what becomes of our care for a guest after an event.
type fate int

const (
	keep   fate = iota // it lives on, perhaps as a new domain
	letGo              // there is nothing left to look after
	failed             // it could not be built again; the log says why
)

// guest looks after one registered guest. It belongs to one goroutine.
type guest struct {
	Options
	rec *Record
	log io.Writer
	// saved is called whenever rec has changed and must reach the disk.
	saved func(*Record) error
}

// logf writes a line of the guest's log.
func (g *guest) logf(format string, args ...any) { fmt.Fprintf(g.log, format+"\n", args...) }

// ours reports whether an event is about the domain that we look after: a
// preserved predecessor may have the same uuid.
func (g *guest) ours(e domains.Event) bool { return e.ID == g.rec.ID && e.UUID == g.rec.UUID }

// handle does what an event asks for. It blocks as long as that takes.
func (g *guest) handle(ctx context.Context, e domains.Event) fate {
	switch e.Kind {
	case domains.Destroyed:
		g.logf("Domain %d has been destroyed.", g.rec.ID)
		g.removeStrays(ctx)
		return letGo
	case domains.ShutDown:
		g.logf("Domain %d has shut down, reason code %d 0x%x", g.rec.ID, e.Reason, e.Reason)
		return g.ended(ctx, e.Reason)
	}
	return keep
}

// ended follows the end of the guest. One that is suspended may be resumed: after
// a checkpoint, or a migration that failed. The genuine tool before 4.20 lets go of
// it all the same, so that nobody follows its real end; we do not. When it was saved
// or has moved, it is destroyed here, and that lets go.
func (g *guest) ended(ctx context.Context, why domains.Reason) fate {
	if why == domains.Suspend {
		g.logf("Domain has suspended.")
		return keep
	}
	away, err := g.movedAway(ctx)
	if err != nil {
		g.logf("Domain %d is left as it is, for it may have moved to another host: %v", g.rec.ID, err)
		return failed
	}
	if away {
		g.logf("Domain %d is what was left of a migration: it is the operator's.", g.rec.ID)
		return g.exit()
	}
	spec := g.config(ctx)
	if spec == nil {
		return failed
	}
	action := g.action(spec, why)
	g.logf("Action for shutdown reason code %d is %s", why, actionName(action))
	if action == config.ActionCoredumpDestroy || action == config.ActionCoredumpRestart {
		g.dumpCore(ctx)
		if action == config.ActionCoredumpDestroy {
			action = config.ActionDestroy
		} else {
			action = config.ActionRestart
		}
	}
	switch action {
	case config.ActionPreserve:
		return g.exit()
	case config.ActionRestart:
		return g.restart(ctx, g.next(ctx, spec))
	case config.ActionRestartRename:
		return g.restartBeside(ctx, g.next(ctx, spec))
	case config.ActionSoftReset:
		return g.softReset(ctx)
	}
	g.destroy(ctx)
	return g.exit()
}

// awaySuffix marks a guest that another host has the right to run.
const awaySuffix = "--migratedaway"

// movedAway reports whether another host runs the guest by now: to start it here too
// would be the end of its disks, so only a sure no will do.
func (g *guest) movedAway(ctx context.Context) (away bool, err error) {
	err = g.again(ctx, func() error {
		name, err := g.Manager.Name(ctx, g.rec.ID)
		away = strings.HasSuffix(name, awaySuffix)
		if errors.Is(err, domains.NoName) {
			return nil
		}
		return err
	})
	return away, err
}

// removeStrays removes devices that the guest got when it was already being destroyed.
func (g *guest) removeStrays(ctx context.Context) {
	strays, err := g.Manager.RemoveStrays(ctx, g.rec.ID, g.rec.UUID)
	for _, dev := range strays {
		g.logf("Removing %s, which who destroyed it has left.", dev)
	}
	if err != nil {
		g.logf("not all of it is gone: %v", err)
	}
}

func (g *guest) exit() fate {
	g.logf("Done. Exiting now")
	return letGo
}

// action is what the configuration says for a reason.
func (g *guest) action(s *config.Spec, why domains.Reason) config.Action {
	switch why {
	case domains.Poweroff:
		return s.OnPoweroff
	case domains.Reboot:
		return s.OnReboot
	case domains.Crash:
		return s.OnCrash
	case domains.Watchdog:
		return s.OnWatchdog
	case domains.SoftReset:
		return s.OnSoftReset
	}
	g.logf("Unknown shutdown reason code %d. Destroying domain.", why)
	return config.ActionDestroy
}

// actionName is how the genuine xl calls an action in xl.cfg and in its log.
func actionName(a config.Action) string {
	switch a {
	case config.ActionRestart:
		return "restart"
	case config.ActionRestartRename:
		return "rename-restart"
	case config.ActionPreserve:
		return "preserve"
	case config.ActionCoredumpDestroy:
		return "coredump-destroy"
	case config.ActionCoredumpRestart:
		return "coredump-restart"
	case config.ActionSoftReset:
		return "soft-reset"
	}
	return "destroy"
}

// config is the configuration that the guest was built from.
func (g *guest) config(ctx context.Context) *config.Spec {
	spec, err := g.Manager.StoredConfig(ctx, g.rec.ID)
	if err == nil {
		return spec
	}
	spec, decodeErr := config.DecodeJSON(g.rec.Config)
	if decodeErr != nil {
		g.logf("cannot read the guest's configuration: %v; and not our copy of it: %v", err, decodeErr)
		return nil
	}
	return spec
}

// next is the configuration to build the guest from again: the text of an
// xl config-update, else what it has become since it was created.
func (g *guest) next(ctx context.Context, old *config.Spec) *config.Spec {
	text, err := g.Manager.TakeUpdate(ctx, g.rec.ID)
	if err != nil {
		g.logf("\"xl\" configuration found but failed to load\n")
	}
	if len(text) > 0 && g.ParseUpdate != nil {
		g.logf("\"xl\" configuration found, using it\n")
		spec, err := g.ParseUpdate(text)
		if err == nil {
			return spec
		}
		g.logf("it cannot be used: %v", err)
	}
	var spec *config.Spec
	err = g.again(ctx, func() (err error) { spec, err = g.Manager.ConfigOf(ctx, g.rec.ID); return err })
	if err != nil {
		g.logf("failed to retrieve guest configuration (rc=%d). reusing old configuration", domains.RCOf(err))
		return old
	}
	return spec
}

// dumpCore writes the guest's memory to a file. A failure does not stop what comes
// after it.
func (g *guest) dumpCore(ctx context.Context) {
	dir := g.Manager.Paths().Dump
	path := filepath.Join(dir, filepath.Base(g.rec.Name))
	g.logf("dumping core to %s", path)
	err := os.MkdirAll(dir, 0o700) // packages make it; a lost one shall not cost the dump
	if err == nil {
		err = g.Manager.DumpCore(ctx, g.rec.ID, path)
	}
	if err != nil {
		g.logf("%v", err)
		g.logf("core dump failed (rc=-3).") // the genuine tool's number for all causes
	}
}

// destroy removes the ended domain. Leftovers are worth a line, no more.
func (g *guest) destroy(ctx context.Context) bool {
	g.logf("Domain %d needs to be cleaned up: destroying the domain", g.rec.ID)
	err := g.again(ctx, func() error { return g.Manager.Destroy(ctx, g.rec.ID) })
	if err != nil {
		g.logf("%v", err)
	}
	return err == nil || errors.Is(err, domains.Leftovers) || errors.Is(err, domains.NoDomain)
}

// preserve keeps the ended domain under another name.
func (g *guest) preserve(ctx context.Context) bool {
	err := g.again(ctx, func() error { return g.Manager.Preserve(ctx, g.rec.Kept, g.rec.KeptName) })
	if err != nil {
		g.logf("%v", err)
	}
	return err == nil || errors.Is(err, domains.NoDomain)
}

// softReset does what the genuine tool does for a PV or PVH guest: it finds that
// only HVM guests can be reset, and ends the domain.
func (g *guest) softReset(ctx context.Context) fate {
	g.logf("Done. Rebooting now")
	g.logf("a soft reset needs an HVM guest: this one is destroyed")
	if err := g.again(ctx, func() error { return g.Manager.Destroy(ctx, g.rec.ID) }); err != nil {
		g.logf("%v", err)
	}
	return failed
}

// restart destroys the ended domain and builds the guest again. The intent goes
// to the disk first: whoever takes over from us after the domain is gone must
// know that it shall come back.
func (g *guest) restart(ctx context.Context, next *config.Spec) fate {
	g.rec.Config, g.rec.Rebuilding = g.Manager.ConfigJSON(next), true
	if err := g.saved(g.rec); err != nil {
		g.logf("%v", err)
	}
	if !g.destroy(ctx) {
		return failed
	}
	return g.rebuild(ctx, next)
}

// restartBeside keeps the ended domain and builds its guest again. As with restart
// the intent goes to the disk first.
func (g *guest) restartBeside(ctx context.Context, next *config.Spec) fate {
	suffix := time.Now().UTC().Format("-20060102T1504Z")
	g.logf("Preserving domain %d %s with suffix%s", g.rec.ID, g.rec.Name, suffix)
	g.rec.Kept, g.rec.KeptName = g.rec.ID, g.rec.Name+suffix
	g.rec.Config, g.rec.Rebuilding = g.Manager.ConfigJSON(next), true
	if err := g.saved(g.rec); err != nil {
		g.logf("%v", err)
	}
	if !g.preserve(ctx) {
		return failed
	}
	return g.rebuild(ctx, next)
}

// rebuild creates the guest anew.
func (g *guest) rebuild(ctx context.Context, next *config.Spec) fate {
	g.logf("Done. Rebooting now")
	next.CInfo.UUID = g.rec.UUID
	id, err := g.Manager.Create(ctx, next, domains.CreateOptions{})
	if errors.Is(err, xenstore.ErrLost) && ctx.Err() == nil {
		g.lost(ctx, err)
		return g.resume(ctx) // something of it may be there
	}
	if err != nil && ctx.Err() != nil {
		g.logf("%v", err)
		return keep // we are told to end; the next supervisor goes on
	}
	if err != nil {
		g.logf("Domain %s could not be built again: %v", g.rec.Name, err)
		return failed
	}
	return g.reborn(ctx, id, next.CInfo.Name.Value())
}

// reborn notes that the guest lives in domain id now.
func (g *guest) reborn(ctx context.Context, id abi.DomID, name string) fate {
	g.rec.ID, g.rec.Name, g.rec.Rebuilding = id, name, false
	g.rec.Kept, g.rec.KeptName = 0, ""
	if err := g.saved(g.rec); err != nil {
		g.logf("%v", err)
	}
	g.waiting()
	return keep
}

// waiting writes the line with which each life of a guest begins.
func (g *guest) waiting() {
	g.logf("Waiting for domain %s (domid %d) to die [pid %d]", g.rec.Name, g.rec.ID, os.Getpid())
}

// resume takes over a guest whose supervisor went away while it rebuilt it.
func (g *guest) resume(ctx context.Context) fate {
	spec, err := config.DecodeJSON(g.rec.Config)
	if err != nil {
		g.logf("cannot read the configuration to build the guest from: %v", err)
		return failed
	}
	if g.rec.KeptName != "" && !g.preserve(ctx) {
		return failed
	}
	var list []domains.Domain
	if err := g.again(ctx, func() (err error) { list, err = g.Manager.List(ctx); return err }); err != nil {
		g.logf("%v", err)
		return failed
	}
	for _, d := range list {
		if d.UUID != g.rec.UUID || d.Dying {
			continue
		}
		kept, err := g.kept(ctx, d.ID)
		if err != nil {
			g.logf("%v", err)
			return failed
		}
		if kept {
			continue
		}
		if d.ID != g.rec.ID && g.complete(ctx, d) {
			return g.reborn(ctx, d.ID, g.rec.Name)
		}
		if d.ID != g.rec.ID || d.Shutdown { // half built, or not destroyed yet
			g.rec.ID = d.ID
			if !g.destroy(ctx) {
				return failed
			}
		}
	}
	return g.rebuild(ctx, spec)
}

// kept reports whether domain id is one that ended, now or in an earlier life of the
// guest, and stays. Xen knows it by the guest's uuid, xenstore by another.
func (g *guest) kept(ctx context.Context, id abi.DomID) (bool, error) {
	if g.rec.KeptName != "" && g.rec.Kept == id {
		return true, nil
	}
	ours := "/vm/" + g.rec.UUID.String()
	vm := ours
	err := g.again(ctx, func() error {
		have, err := g.Manager.Store().Read(ctx, fmt.Sprintf("/local/domain/%d/vm", id))
		if errors.Is(err, xenstore.ErrNotFound) {
			return nil // half built
		}
		if err == nil {
			vm = have
		}
		return err
	})
	return err == nil && vm != ours, err
}

// complete reports whether a creation that nobody watched came to its end: the
// stored configuration is the last thing written but for the start itself, which
// is made up for. A guest that runs was complete, whatever can be read of it.
func (g *guest) complete(ctx context.Context, d domains.Domain) bool {
	if !d.Paused {
		return true
	}
	err := g.again(ctx, func() error { _, err := g.Manager.StoredConfig(ctx, d.ID); return err })
	if err != nil {
		return false
	}
	if err := g.again(ctx, func() error { return g.Manager.Unpause(ctx, d.ID) }); err != nil {
		g.logf("%v", err)
		return false
	}
	return true
}
