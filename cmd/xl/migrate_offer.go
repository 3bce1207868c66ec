package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"goxl/domains"
	"goxl/migrate/offer"
)

// usageStatus is how every xl exits that does not know an option.
const usageStatus = 2

func (a *app) peers() offer.Peers {
	return offer.Peers(filepath.Join(a.host.domains.Paths().State, "peers"))
}

func (a *app) journal() offer.Journal {
	return offer.Journal(filepath.Join(a.host.domains.Paths().State, "received"))
}

// errGenuine is a peer that has the genuine xl.
var errGenuine = errors.New("the other side has the genuine xl")

// ask asks the other side. A usage error means that it is a genuine one, which is
// remembered for a day; with anew it is asked all the same.
func (a *app) ask(ctx context.Context, w way, q *offer.Question, anew bool) (*offer.Answer, error) {
	peers := a.peers()
	known := peers.Of(w.name())
	if !anew && known.IsGenuine(time.Now()) {
		return nil, errGenuine
	}
	var question bytes.Buffer
	if err := offer.Write(&question, q); err != nil {
		return nil, err
	}
	out, err := w.call(ctx, "migrate-receive --offer", question.Bytes())
	genuine := exitCode(err) == usageStatus
	if genuine != !known.Genuine.IsZero() && (genuine || err == nil) {
		known.SetGenuine(time.Now(), genuine)
		if err := peers.Remember(w.name(), known); err != nil {
			fmt.Fprintf(a.env.stderr, "warning: not remembered which xl the other side has: %v\n", err)
		}
	}
	switch {
	case genuine:
		return nil, errGenuine
	case err != nil:
		return nil, err
	}
	return offer.ReadAnswer(bytes.NewReader(out))
}

// answerOffer is "xl migrate-receive --offer": the question is on standard input.
func (a *app) answerOffer(ctx context.Context) error {
	q, err := offer.ReadQuestion(os.Stdin)
	if err != nil {
		return err
	}
	answer, err := offer.Reply(ctx, a.host.domains, a.journal(), q)
	if err != nil {
		return err
	}
	return offer.Write(a.out, answer)
}

// check looks for everything that speaks against a migration, as far as it can be
// known. The answer is nil when the other side is not ours, or could not be asked.
func (a *app) check(ctx context.Context, w way, o *migrating, d domains.Domain) (*offer.Answer, []offer.Finding, error) {
	q, spec, err := offer.Ask(ctx, a.host.domains, d.ID, o.override)
	if err != nil {
		return nil, nil, err
	}
	q.Guest.Along = o.asked()
	kind, err := a.host.domains.TypeOf(ctx, d.ID)
	if err != nil {
		return nil, nil, err
	}
	findings := offer.Local(a.host.domains, d.ID, kind, spec, !o.quick)
	answer, err := a.ask(ctx, w, q, o.check || o.withDisks)
	switch {
	case err == nil:
		return answer, append(findings, offer.Compare(a.host.domains, q, spec, answer)...), nil
	case !o.check && !o.withDisks: // what nobody asked for fails no migration
		return nil, findings, nil
	case errors.Is(err, errGenuine) && !o.check:
		return nil, append(findings, o.genuineAlong()...), nil
	case errors.Is(err, errGenuine):
		findings = append(findings, o.genuineAlong()...)
		info, err := w.call(ctx, "info", nil)
		if err != nil {
			return nil, nil, err
		}
		return nil, append(findings, offer.CompareGenuine(a.host.domains, q, spec, string(info))...), nil
	}
	return nil, nil, err
}

// checked is "xl migrate --check".
func (a *app) checked(name string, answer *offer.Answer, findings []offer.Finding) error {
	for _, f := range findings {
		fmt.Fprintln(a.out, f)
	}
	if n := len(offer.Blocking(findings)); n > 0 {
		fmt.Fprintf(a.out, "%s cannot be moved: %d %s against it\n", name, n, map[bool]string{true: "thing speaks", false: "things speak"}[n == 1])
		return exitStatus(1)
	}
	other := "the genuine xl"
	if answer != nil {
		other = "goxl on Xen " + answer.Xen
	}
	fmt.Fprintf(a.out, "%s can be moved, as far as can be known; the other side has %s\n", name, other)
	return nil
}

// refused is a migration that was not begun because of what speaks against it.
func refused(findings []offer.Finding) error {
	var errs []error
	for _, f := range findings {
		errs = append(errs, fmt.Errorf("%s", f))
	}
	return failf(errors.Join(errs...), "Migration not begun: look with --check; --unchecked tries all the same.")
}
