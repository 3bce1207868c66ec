package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"goxl/domains"
	"goxl/migrate"
	"goxl/migrate/offer"
)

// How long a copy may be there without running, before it counts as one that waits:
// a receiver that has permission starts it at once, one that was left removes it.
const (
	settleTime  = 20 * time.Second
	settleEvery = time.Second
)

// resolve is "xl migrate --resolve NAME HOST": it ends a migration of which nobody
// knew whether the guest runs there.
func (a *app) resolve(ctx context.Context, o *migrating, args []string) error {
	name := strings.TrimSuffix(args[0], "--migratedaway")
	d, err := migrate.Away(ctx, a.host.domains, name)
	if err != nil {
		return err
	}
	there, what := migrate.CopyNone, "on your word that it does not run elsewhere"
	if !o.peerDead {
		w := o.wayTo(a.globals, false, args[1])
		if there, what, err = a.copyThere(ctx, w, name, d); err != nil {
			return failf(err, "Nothing is decided: %s stays suspended here as %s--migratedaway. If the other side is dead for good, resume it with --peer-dead.", name, name)
		}
	}
	outcome, err := migrate.Resolve(ctx, a.host.domains, name, there)
	switch {
	case outcome == migrate.Moved:
		if err != nil {
			a.rep.report(&failure{cause: err})
		}
		fmt.Fprintf(a.env.stderr, "%s runs there (%s): destroyed here.\n", name, what)
		return nil
	case outcome == migrate.StayedHere && err == nil:
		fmt.Fprintf(a.env.stderr, "%s runs on here: %s.\n", name, what)
		return nil
	}
	return failf(err, "%s stays here as it is: %s.", name, what)
}

// copyThere finds out what the other side has, and says it in words.
func (a *app) copyThere(ctx context.Context, w way, name string, d domains.Domain) (migrate.Copy, string, error) {
	for end := time.Now().Add(settleTime); ; {
		there, what, err := a.askForCopy(ctx, w, name, d)
		if err != nil || there != migrate.CopyWaits || time.Now().After(end) {
			return there, what, err
		}
		select {
		case <-ctx.Done():
			return 0, "", context.Cause(ctx)
		case <-time.After(settleEvery):
		}
	}
}

func (a *app) askForCopy(ctx context.Context, w way, name string, d domains.Domain) (migrate.Copy, string, error) {
	answer, err := a.ask(ctx, w, &offer.Question{Goxl: offer.Version, Holder: d.UUID.String()}, true)
	if err == errGenuine {
		return genuineCopy(ctx, w, name, d)
	}
	if err != nil {
		return 0, "", err
	}
	there, what := offer.CopyOf(answer, name, a.host.domains.Host().BootID(), d.ID)
	return there, what, nil
}

// genuineCopy asks a genuine xl. It cannot tell whether a guest was there before.
func genuineCopy(ctx context.Context, w way, name string, d domains.Domain) (migrate.Copy, string, error) {
	out, err := w.call(ctx, "list -v", nil)
	if err != nil {
		return 0, "", err
	}
	holds, err := offer.ParseList(string(out), d.UUID.String())
	if err != nil {
		return 0, "", err
	}
	there, what := offer.CopyOf(&offer.Answer{Holds: holds}, name, "", d.ID)
	if there == migrate.CopyNone {
		what += ", by its xl list; a genuine xl cannot tell whether it has run there and ended"
	}
	return there, what, nil
}
