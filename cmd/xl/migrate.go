package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/migrate"
	"goxl/migrate/disks"
	"goxl/migrate/offer"
)

// migrating is what the command line of "xl migrate" asks for.
type migrating struct {
	config    string // -C: instead of the stored configuration
	ssh       string // -s
	unwatched bool   // -e: nobody follows the guest's end there
	paused    bool   // -p: leave it paused there
	debug     bool   // --debug
	keepID    bool   // -D
	live      migrate.Live

	quick     bool // --quick: suspend, move, resume
	check     bool // --check: only say what speaks against it
	unchecked bool // --unchecked: move it all the same
	plain     bool // --plain: the genuine tools' stream, also to one of ours
	timeline  bool // --timeline: say where the time went
	resolve   bool // --resolve: end what is undecided
	peerDead  bool // --peer-dead: on the operator's word

	withDisks bool // --with-disks: they go along
	overwrite bool // --overwrite-disks: over what is there

	direct directWay // --streams and what goes with it

	override *config.Spec // what -C says
	along    []disks.Disk // that go along
}

// migrateCommand is "xl migrate [options] <Domain> <host>".
func migrateCommand(a *app) *command {
	o := &migrating{ssh: "ssh"}
	return a.new("migrate", body{
		table: optionTable{"FC:s:epD", []longOption{
			{"debug", false, debugLetter}, {"live", false, liveLetter},
			{"max-downtime", true, downtimeLetter}, {"max-rounds", true, roundsLetter},
			{"quick", false, quickLetter}, {"check", false, checkLetter}, {"unchecked", false, uncheckedLetter},
			{"plain", false, plainLetter}, {"timeline", false, moveTimelineLetter},
			{"resolve", false, resolveLetter}, {"peer-dead", false, peerDeadLetter},
			{"auto-converge", false, convergeLetter},
			{"with-disks", false, withDisksLetter}, {"overwrite-disks", false, overwriteLetter},
			{"streams", true, streamsLetter}, {"via", true, viaLetter}, {"listen", true, listenLetter},
			{"tls-ca", true, tlsCALetter}, {"tls-cert", true, tlsCertLetter}, {"tls-key", true, tlsKeyLetter},
		}},
		opt: o.option,
		run: func(ctx context.Context, args []string) error {
			need := 2
			if o.peerDead {
				need = 1
			}
			args, err := a.enough("migrate", need, args)
			if err != nil {
				return err
			}
			ctx, stop := interruptible(ctx)
			defer stop()
			if o.resolve || o.peerDead {
				return a.resolve(ctx, o, args)
			}
			return a.migrate(ctx, o, args)
		},
	})
}

// migrate moves a guest, or says what speaks against that.
func (a *app) migrate(ctx context.Context, o *migrating, args []string) error {
	if err := o.consistentAlong(); err != nil {
		return err
	}
	m := a.host.domains
	id, err := a.domain(ctx, args[0])
	if err != nil {
		return err
	}
	if o.config != "" {
		if o.override, err = a.readOverride(o.config); err != nil {
			return err
		}
	}
	d, err := m.Info(ctx, id)
	if err != nil {
		return err
	}
	refusals, err := a.findAlong(ctx, o, d.ID)
	if err != nil {
		return err
	}
	w := o.wayTo(a.globals, isTerminal(os.Stderr), args[1])
	answer, findings, err := a.check(ctx, w, o, d)
	switch {
	case err != nil:
		return err
	case o.check:
		return a.checked(args[0], answer, append(findings, refusals...))
	case len(offer.Blocking(findings)) > 0 && !o.unchecked:
		return refused(offer.Blocking(findings))
	}
	if err := o.agreedAlong(answer); err != nil {
		return err
	}
	send := a.sending(o)
	send.Packed = answer != nil && answer.Speaks(offer.Packed) && !o.plain
	if send.Direct, err = a.directWay(o, answer); err != nil {
		return err
	}
	if send.Direct == nil { // a genuine receiver must not see options of ours
		o.direct = directWay{}
		w = o.wayTo(a.globals, isTerminal(os.Stderr), args[1])
	}
	return a.send(ctx, w, d, o, send)
}

// sending is how the guest is sent.
func (a *app) sending(o *migrating) migrate.SendOptions {
	send := migrate.SendOptions{Say: func(s string) { fmt.Fprintln(a.env.stderr, s) }}
	send.KeepDomID, send.Config = o.keepID, o.override
	send.Progress, send.Timeline = a.transferProgress(), new(migrate.Timeline)
	if !o.quick {
		send.Live = &o.live
	}
	if o.withDisks {
		send.Disks = a.sendingAlong(o)
	}
	return send
}

// send moves the guest and says how it went.
func (a *app) send(ctx context.Context, w way, d domains.Domain, o *migrating, send migrate.SendOptions) error {
	known := a.peers().Of(w.name())
	if o.quick {
		fmt.Fprintln(a.env.stderr, pauseText(d.Current, known.Pace))
	}
	peer, err := callPeer(w.receive)
	if err != nil {
		return err
	}
	outcome, err := migrate.Send(ctx, a.host.domains, d.ID, peer, send)
	err = errors.Join(err, peer.hangUp(outcome))
	if pace, ok := send.Timeline.Pace(); ok && outcome == migrate.Moved {
		known.Pace = pace
		if err := a.peers().Remember(w.name(), known); err != nil {
			fmt.Fprintf(a.env.stderr, "warning: not remembered how fast this was: %v\n", err)
		}
	}
	if o.quick && outcome == migrate.Moved {
		fmt.Fprintf(a.env.stderr, "The guest paused for %d ms.\n", send.Timeline.Pause().Milliseconds())
	}
	if o.timeline {
		a.out.WriteString(moveTimelineText(send.Timeline))
	}
	if outcome == migrate.Undefined {
		err = fmt.Errorf("%w (once the other side can be asked, xl migrate --resolve with the domain's name and the same arguments ends this)", err)
	}
	if outcome == migrate.Moved {
		a.saidAlong(o)
	}
	return a.migrated(outcome, err)
}

// Letters that stand for long options without one.
const (
	debugLetter = 0x80 + iota
	liveLetter

	downtimeLetter = ownLetter + iota
	roundsLetter
	quickLetter
	checkLetter
	uncheckedLetter
	plainLetter
	moveTimelineLetter
	resolveLetter
	peerDeadLetter
	convergeLetter
	streamsLetter
	viaLetter
	listenLetter
	tlsCALetter
	tlsCertLetter
	tlsKeyLetter
	withDisksLetter
	overwriteLetter
)

func (o *migrating) option(letter byte, arg string) error {
	switch letter {
	case 'C':
		o.config = arg
	case 's':
		o.ssh = arg
	case 'e':
		o.unwatched = true
	case 'p':
		o.paused = true
	case 'D':
		o.keepID = true
	case debugLetter:
		o.debug = true
	case quickLetter:
		o.quick = true
	case checkLetter:
		o.check = true
	case uncheckedLetter:
		o.unchecked = true
	case plainLetter:
		o.plain = true
	case moveTimelineLetter:
		o.timeline = true
	case resolveLetter:
		o.resolve = true
	case withDisksLetter:
		o.withDisks = true
	case overwriteLetter:
		o.overwrite = true
	case convergeLetter:
		o.live.AutoConverge = true
	case peerDeadLetter:
		o.peerDead = true
	case downtimeLetter:
		ms, err := strconv.ParseUint(arg, 10, 31)
		if err != nil || ms == 0 {
			return saidf(err, "--max-downtime=%s: it takes a number of milliseconds, 1 or more", arg)
		}
		o.live.MaxDowntime = time.Duration(ms) * time.Millisecond
	case roundsLetter:
		n, err := strconv.ParseUint(arg, 10, 16)
		if err != nil || n == 0 {
			return saidf(err, "--max-rounds=%s: it takes a number of rounds, 1 or more", arg)
		}
		o.live.MaxRounds = int(n)
	}
	return o.direct.option(letter, arg) // -F and --live are accepted and change nothing
}

// receiver is the verb that receives a guest, with its options.
func (o *migrating) receiver(g globals, terminal bool) string {
	c := ""
	if g.progressCR || terminal {
		c += " -t"
	}
	if g.timestamps {
		c += " -T"
	}
	if g.verbosity > 0 {
		c += " -" + strings.Repeat("v", g.verbosity)
	}
	c += " migrate-receive"
	for _, f := range []struct {
		on   bool
		text string
	}{{o.unwatched, " -e"}, {o.debug, " -d"}, {o.paused, " -p"}} {
		if f.on {
			c += f.text
		}
	}
	return c + o.direct.receiver()
}

// migrated says how it ended.
func (a *app) migrated(outcome migrate.Outcome, err error) error {
	switch outcome {
	case migrate.Moved:
		if err != nil {
			a.rep.report(&failure{cause: err})
		}
		fmt.Fprintln(a.env.stderr, "Migration successful.")
		return nil
	case migrate.NotBegun:
		return err
	case migrate.StayedHere:
		return failf(err, "Migration failed, resuming at sender.")
	case migrate.NotResumed:
		return failf(err, "Migration failed, and the guest could not be resumed here: it is suspended, look at it with xl list.")
	}
	return failf(err, "** Migration failed during final handshake **\n"+
		"Domain state is now undefined !\n"+
		"Please CHECK AT BOTH ENDS for running instances, before renaming and\n"+
		" resuming at most one instance.  Two simultaneous instances of the domain\n"+
		" would probably result in SEVERE DATA LOSS and it is now your\n"+
		" responsibility to avoid that.  Sorry.")
}
