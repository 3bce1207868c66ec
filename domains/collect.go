package domains

import (
	"context"
	"errors"
	"fmt"

	"goxl/domains/intent"
	"goxl/domains/logs"
	"goxl/xenctrl/abi"
)

// Leftover is a creation that ended, by SIGKILL or a crash, before it was
// finished, and what there is of it.
type Leftover struct {
	intent.Record
	Found []string // what there is, in words; empty when there is nothing but the note
	// Kept says why the guest stays; "" when what was found goes.
	Kept string
	// Err is what could not be removed. It is tried again the next time.
	Err error
}

// CollectOptions say what Collect does.
type CollectOptions struct {
	DryRun bool                      // only find
	Only   func(*intent.Record) bool // which creations; nil: all
}

// Collect removes what creations of ours have left whose process is gone. It
// touches nothing but what their notes name: see package intent. A guest that was
// complete, or that has run since, stays. When Collect is itself interrupted, or
// something could not be removed, the next call goes on: a note goes last. The
// error tells of notes that could not be read; what became of the others is in the
// list.
func (m *Manager) Collect(ctx context.Context, o CollectOptions) ([]Leftover, error) {
	notes, err := intent.Stale(m.host, m.intents())
	if err != nil {
		err = fail(Failed, 0, "look for creations that were cut short", err)
	}
	var list []Leftover
	for _, n := range notes {
		if o.Only != nil && !o.Only(&n.Record) || ctx.Err() != nil {
			n.Leave()
			continue
		}
		l := m.collect(ctx, n.Record, o.DryRun)
		if l.Err != nil || o.DryRun {
			l.Err = errors.Join(l.Err, n.Leave())
		} else {
			l.Err = n.Done()
		}
		list = append(list, l)
	}
	if err == nil && ctx.Err() != nil {
		err = fail(Interrupted, 0, "remove what creations have left", context.Cause(ctx))
	}
	return list, err
}

// collectFor removes what an earlier creation of the same guest has left. The note
// of it proves that the remains are ours and that nobody is at work on them, so
// there is nothing to ask the operator; and he who starts a guest again after an
// accident wants it to start.
func (m *Manager) collectFor(ctx context.Context, c *creation) error {
	name, uuid := c.spec.CInfo.Name.Value(), c.spec.CInfo.UUID
	list, err := m.Collect(ctx, CollectOptions{Only: func(r *intent.Record) bool { return r.Name == name || r.UUID == uuid }})
	for _, l := range list {
		m.logger.Warn("an earlier creation of this guest was cut short", logs.String("name", l.Name), logs.Uint16("dom", uint16(l.Dom)),
			logs.Strings("found", l.Found), logs.String("kept", l.Kept), logs.Error(l.Err))
		if l.Err != nil {
			return &Error{Kind: Failed, Op: c.op, Dom: l.Dom, Hint: "see what xl gc says",
				Err: fmt.Errorf("an earlier creation of it was cut short, and its remains could not be removed: %w", l.Err)}
		}
	}
	if err != nil { // notes of others, perhaps: no reason not to create
		m.logger.Warn("notes of creations cannot be read", logs.Error(err))
	}
	return nil
}

// collect deals with one creation, whose note is locked.
func (m *Manager) collect(ctx context.Context, r intent.Record, dry bool) Leftover {
	l := Leftover{Record: r}
	rem, err := m.remainsOf(&r)
	if err != nil {
		l.Err = err
		return l
	}
	l.Dom, l.Kept = rem.id, rem.kept
	if rem.kept != "" {
		return l
	}
	if l.Found, l.Err = m.survey(ctx, rem); l.Err == nil && !dry && rem.id != 0 {
		l.Err = m.removeRemains(ctx, rem)
	}
	return l
}

// remains are what Xen knows about an unfinished creation.
type remains struct {
	id     abi.DomID // 0: no domain was made
	uuid   abi.UUID
	domain *Domain // nil: it is gone
	bare   bool    // the domain has its token still: there is nothing but itself
	reused bool    // the id is another domain's by now
	kept   string  // why the domain is to stay
}

// remainsOf looks for the domain of a creation. Its id alone proves nothing: the
// handle has to be the token, or the guest's uuid at the noted id.
func (m *Manager) remainsOf(r *intent.Record) (*remains, error) {
	infos, err := m.xen.Domains()
	if err != nil {
		return nil, fail(Hypervisor, 0, "list domains", err)
	}
	rem := &remains{id: r.Dom, uuid: r.UUID}
	for i := range infos {
		d := domainOf(&infos[i])
		switch {
		case d.UUID == r.Token:
			rem.id, rem.domain, rem.bare = d.ID, &d, true
			return rem, nil
		case r.Dom == 0 || d.ID != r.Dom:
		case d.UUID == r.UUID:
			rem.domain = &d
			rem.kept, err = m.reasonToKeep(&d, r)
			return rem, err
		default:
			rem.reused = true
		}
	}
	return rem, nil
}

// reasonToKeep returns why a domain is a guest that shall stay: nothing of it was
// missing, or somebody has let it run since. "" if it is half built. The stored
// configuration is the last thing that a creation makes before the start.
func (m *Manager) reasonToKeep(d *Domain, r *intent.Record) (string, error) {
	switch {
	case d.Dying:
		return "", nil
	case !d.Paused || d.CPUTime > 0:
		return "it has run", nil
	case !r.Paused:
		return "", nil
	}
	u := &userdata{m, d.ID, d.UUID}
	_, stored, err := u.read(jsonName)
	if err != nil {
		return "", fail(NoConfig, d.ID, "look whether the guest is complete", err)
	}
	if stored {
		return "it is complete, and paused as it was asked for", nil
	}
	return "", nil
}
