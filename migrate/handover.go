package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/migrate/direct"
	"goxl/migrate/disks"
	"goxl/migrate/stream"
	"goxl/xenctrl/abi"
)

// The names that a guest goes by on its way, behind its own.
const (
	incomingSuffix = "--incoming"
	awaySuffix     = "--migratedaway"
)

// Outcome is what came of a migration for the guest.
type Outcome int

// The outcomes. The zero value is none of them.
const (
	Moved      Outcome = iota + 1 // it runs there and is gone here
	StayedHere                    // it runs on here as if nothing had been
	NotBegun                      // the same, and nothing was sent
	Undefined                     // the peer was told to start it and did not report: it is suspended here, and may run there
	NotResumed                    // it is suspended here and does not run there, and could not be resumed
)

// Channel is the way to the other side: what is written reaches its xl
// migrate-receive, what that prints comes back.
type Channel interface {
	io.Reader
	io.Writer
}

// SendOptions say how a guest is sent.
type SendOptions struct {
	SaveOptions
	// Direct, if not nil, is the way that the guest itself goes, when the receiver is
	// one of ours and can be reached so. Packed says how it goes if not.
	Direct *direct.Options
	// Say, if not nil, is told each step as the genuine xl says it.
	Say func(text string)
}

// Send moves guest id to the receiver behind c, which may be the genuine xl's. It
// blocks until the guest runs there or here again. Only one of both sides ever has
// the permission to run it: until that was given, every failure has it run on
// here; after that, and until the receiver reports, nobody knows, so it stays
// suspended here under another name: the Outcome says which. Cancelling ctx is a
// failure like any other, but the final exchange is always finished.
func Send(ctx context.Context, m *domains.Manager, id abi.DomID, c Channel, o SendOptions) (Outcome, error) {
	s := &outgoing{m: m, id: id, c: c, say: o.Say, time: o.Timeline}
	if s.time == nil {
		s.time = new(Timeline)
	}
	if s.say == nil {
		s.say = func(string) {}
	}
	name, err := m.Name(ctx, id)
	if err != nil && !errors.Is(err, domains.NoName) {
		return NotBegun, err
	}
	s.name = name
	if err := s.expect(&s.time.Connect, stream.Banner, "the receiver's greeting"); err != nil {
		return NotBegun, err
	}
	way, done, err := s.invite(ctx, o.Direct)
	if err != nil {
		return NotBegun, err
	}
	defer done()
	if o.Notice == nil {
		o.Notice = func(text string) { s.say("migration sender: " + text) }
	}
	if err := Save(ctx, m, id, way, o.SaveOptions); err != nil {
		if errors.Is(err, ErrNotResumed) {
			return NotResumed, err
		}
		return StayedHere, err
	}
	return s.handOver(context.WithoutCancel(ctx))
}

// invite finds the way that the guest itself goes: directly, or over the channel. Done
// ends what runs for it.
func (s *outgoing) invite(ctx context.Context, o *direct.Options) (way io.Writer, done func(), err error) {
	if o == nil {
		return s.c, func() {}, nil
	}
	defer elapsed(&s.time.Connect)()
	own := *o
	own.Say = func(text string) { s.say("migration sender: " + text) }
	to, err := direct.Invite(ctx, s.c, own)
	if to == nil || err != nil {
		return s.c, func() {}, err
	}
	s.c = to.Channel
	return to.Sender, to.Abandon, nil
}

// outgoing is a guest that is suspended, with its memory on the other side.
type outgoing struct {
	m    *domains.Manager
	id   abi.DomID
	name string // "" when it has none
	c    Channel
	say  func(string)
	time *Timeline
}

// expect waits for what the receiver has to say, and notes how long that took.
func (s *outgoing) expect(took *time.Duration, want, what string) error {
	defer elapsed(took)()
	return expect(s.c, want, what)
}

func (s *outgoing) handOver(ctx context.Context) (Outcome, error) {
	if err := s.expect(&s.time.Receive, stream.Ready, "the receiver's word that it has everything"); err != nil {
		return s.resume(ctx, err)
	}
	s.say("migration sender: Target has acknowledged transfer.")
	permitted := elapsed(&s.time.HandOver)
	if err := s.rename(ctx, awaySuffix); err != nil {
		return s.resume(ctx, err)
	}
	s.say("migration sender: Giving target permission to start.")
	if _, err := io.WriteString(s.c, stream.Go); err != nil {
		return Undefined, fmt.Errorf("give the receiver permission to start the guest: %w", err)
	}
	permitted()
	if err := s.expect(&s.time.Start, stream.Report, "the receiver's report"); err != nil {
		return Undefined, err
	}
	var status [1]byte
	if _, err := io.ReadFull(s.c, status[:]); err != nil {
		return Undefined, fmt.Errorf("read the receiver's report: %w", err)
	}
	if status[0] != 0 {
		return s.takeBack(ctx, status[0])
	}
	s.say("migration sender: Target reports successful startup.")
	if err := s.m.Destroy(ctx, s.id); err != nil {
		return Moved, fmt.Errorf("the guest has moved, but what is left of it here could not be removed: %w", err)
	}
	return Moved, nil
}

// takeBack resumes the guest after the receiver could not start it, once that has
// said that its copy is gone.
func (s *outgoing) takeBack(ctx context.Context, status byte) (Outcome, error) {
	s.say(fmt.Sprintf("migration sender: Target reports startup failure (status code %d).", status))
	why := fmt.Errorf("the receiver could not start the guest (status %d): see what it printed", status)
	if err := expect(s.c, stream.Go, "the receiver's word that its copy is gone"); err != nil {
		return Undefined, errors.Join(why, err)
	}
	s.say("migration sender: Trying to resume at our end.")
	return s.resume(ctx, why)
}

// resume lets the guest run on here, for cause.
func (s *outgoing) resume(ctx context.Context, cause error) (Outcome, error) {
	renamed := s.rename(ctx, "")
	if err := s.m.Resume(ctx, s.id); err != nil {
		// What failed may have been to tell xenstored, after the guest went on.
		if d, lost := s.m.Info(ctx, s.id); lost != nil || d.Shutdown {
			return NotResumed, errors.Join(cause, renamed, err)
		}
		return StayedHere, errors.Join(cause, renamed, err)
	}
	s.say("migration sender: Resumed OK.")
	return StayedHere, errors.Join(cause, renamed)
}

// rename gives the guest its name with a suffix.
func (s *outgoing) rename(ctx context.Context, suffix string) error {
	now, err := s.m.Name(ctx, s.id)
	if s.name == "" || err == nil && now == s.name+suffix {
		return nil
	}
	return s.m.Rename(ctx, s.id, s.name+suffix)
}

// ReceiveOptions say how a guest is received.
type ReceiveOptions struct {
	Paused bool              // leave it paused
	Say    func(text string) // as of SendOptions
	// Header, if not nil, is called with the guest before a domain is made for it,
	// and may change its configuration.
	Header func(*Incoming) error
	// Own, if not nil, is called when the guest is ours and has its own name, before
	// it runs: to see to its end. An error has it destroyed.
	Own func(ctx context.Context, id abi.DomID) error
	// Runs, if not nil, is called once the guest runs and the sender was told: for
	// what the guest need not stand still for.
	Runs func(ctx context.Context, id abi.DomID)
	// Direct is for a sender that invites to the direct way.
	Direct direct.Options
	// Create is how the domain is made; Paused of it is ignored.
	Create domains.CreateOptions
}

// Receive takes a guest from the sender behind c, which may be the genuine xl's,
// and starts it once it has the permission. On every failure before that nothing
// of the guest is left here.
func Receive(ctx context.Context, m *domains.Manager, c Channel, o ReceiveOptions) (abi.DomID, error) {
	say := o.Say
	if say == nil {
		say = func(string) {}
	}
	say("migration target: Ready to receive domain.")
	if _, err := io.WriteString(c, stream.Banner); err != nil {
		return 0, fmt.Errorf("greet the sender: %w", err)
	}
	o.Direct.Say = func(text string) { say("migration target: " + text) }
	way, err := direct.Accept(ctx, c, o.Direct)
	if err != nil {
		return 0, err
	}
	defer way.Close()
	in, err := Open(way)
	if err != nil {
		return 0, err
	}
	in.ends = way.Finish
	if o.Header != nil {
		if err := o.Header(in); err != nil {
			return 0, err
		}
	}
	if in.Spec == nil {
		return 0, errors.New("the sender gave no configuration of the guest")
	}
	if err := in.takeDisks(ctx); err != nil {
		return 0, errors.Join(err, in.disks.Discard())
	}
	r := &arriving{m: m, c: way.Channel, say: say, name: in.Spec.CInfo.Name.Value(), disks: in.disks}
	in.Spec.CInfo.Name = config.Some(r.name + incomingSuffix)
	create := o.Create
	create.Paused = true
	if r.id, err = in.Restore(ctx, m, create); err != nil {
		return 0, errors.Join(err, in.disks.Discard())
	}
	return r.id, r.takeOver(context.WithoutCancel(ctx), o)
}

// arriving is a guest that is here, paused, with no permission to run yet.
type arriving struct {
	m    *domains.Manager
	c    Channel
	say  func(string)
	id   abi.DomID
	name string

	disks *disks.Receiver // that came with it
}

func (r *arriving) takeOver(ctx context.Context, o ReceiveOptions) error {
	r.say("migration target: Transfer complete, requesting permission to start domain.")
	if _, err := io.WriteString(r.c, stream.Ready); err != nil {
		_, gone := r.remove(ctx)
		return errors.Join(fmt.Errorf("tell the sender that everything is here: %w", err), gone)
	}
	if err := expect(r.c, stream.Go, "the sender's permission to start the guest"); err != nil {
		// It was never given: the sender has the guest.
		_, gone := r.remove(ctx)
		return errors.Join(err, gone)
	}
	r.say("migration target: Got permission, starting domain.")
	if err := r.start(ctx, o); err != nil {
		return r.giveBack(ctx, err)
	}
	r.say("migration target: Domain started successsfully.")
	_, err := io.WriteString(r.c, stream.Report+"\x00")
	if err != nil {
		err = fmt.Errorf("the guest runs here, but the sender could not be told: %w", err)
	}
	if kept := r.disks.Keep(); kept != nil {
		r.say(fmt.Sprintf("migration target: warning: what the guest's disks have replaced stays: %v", kept))
	}
	if o.Runs != nil {
		o.Runs(ctx, r.id)
	}
	return err
}

// remove destroys the guest and then removes the disks that came with it. Runs says that it
// may be there yet, and run; then its disks stay, too.
func (r *arriving) remove(ctx context.Context) (runs bool, err error) {
	err = r.m.Destroy(ctx, r.id)
	if err != nil && !errors.Is(err, domains.Leftovers) && !errors.Is(err, domains.NoDomain) {
		return true, err
	}
	return false, errors.Join(err, r.disks.Discard())
}

// giveBack reports that the guest could not be started, for cause, and lets the
// sender have it again once nothing of it is left here.
func (r *arriving) giveBack(ctx context.Context, cause error) error {
	_, told := io.WriteString(r.c, stream.Report+string([]byte{statusOf(cause)}))
	r.say("migration target: Failure, destroying our copy.")
	runs, gone := r.remove(ctx)
	if runs {
		return errors.Join(cause, told, gone) // the sender must not resume
	}
	if told != nil {
		return errors.Join(cause, told, gone)
	}
	r.say("migration target: Cleanup OK, granting sender permission to resume.")
	_, granted := io.WriteString(r.c, stream.Go)
	return errors.Join(cause, gone, granted)
}

// discard destroys our copy. The console daemon may be about to serve it, and what it
// writes after the end of the guest would stay: so that comes first.
func (r *arriving) discard(ctx context.Context) error {
	r.m.SettleConsole(ctx, r.id)
	return r.m.Destroy(ctx, r.id)
}

// statusOf is what a failure to start is to the sender: never 0, which would have
// it destroy the only copy.
func statusOf(err error) byte {
	if s := byte(-domains.RCOf(err)); s != 0 {
		return s
	}
	return 1
}

// start has the guest run under its own name.
func (r *arriving) start(ctx context.Context, o ReceiveOptions) error {
	if err := r.m.Rename(ctx, r.id, r.name); err != nil {
		return err
	}
	if o.Own != nil {
		if err := o.Own(ctx, r.id); err != nil {
			return err
		}
	}
	if o.Paused {
		return nil
	}
	return r.m.Unpause(ctx, r.id)
}

// expect reads what the other side has to say now, and nothing else.
func expect(r io.Reader, want, what string) error {
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if err != nil {
		return fmt.Errorf("read %s: %w%s", what, err, shown(got[:n]))
	}
	if string(got) != want {
		return fmt.Errorf("read %s: %w%s", what, errProtocol, shown(got))
	}
	return nil
}

// errProtocol is an answer that is none of the protocol's.
var errProtocol = errors.New("the other side said something else")

// shown is what was read instead, for a person: often a message of ssh's.
func shown(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	return fmt.Sprintf(" (it sent %q)", b)
}
