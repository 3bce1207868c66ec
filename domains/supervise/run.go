package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"goxl/domains"
	"goxl/domains/config"
	"goxl/domains/logs"
	"goxl/xenctrl/abi"
)

// Options are what a supervisor works with.
type Options struct {
	Manager *domains.Manager
	Dir     string       // its state: /run/goxl
	Logger  *logs.Logger // nil is silent; guests have logs of their own

	// ParseUpdate reads the text of an `xl config-update`. Nil: such texts are
	// not used.
	ParseUpdate func(text []byte) (*config.Spec, error)
}

// Run looks after all registered guests. It returns nil when none is left,
// ErrRunning at once when another process does this already, and otherwise blocks
// until ctx ends; then it finishes nothing that it has not begun, and the next
// Run goes on.
func Run(ctx context.Context, o Options) error {
	recs := recordsIn(o.Manager.Host(), o.Dir)
	if err := recs.host.MkdirAll(recs.dir, 0o700); err != nil {
		return err
	}
	alive, err := tryLock(filepath.Join(o.Dir, "supervisor.lock"))
	if err != nil {
		return err
	}
	defer alive.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &supervisor{Options: o, alive: alive, recs: recs, guests: map[abi.UUID]*worker{}, wake: make(chan struct{}, 1), ended: make(chan abi.UUID)}
	if err := watchDir(ctx, s.recs.dir, s.poke); err != nil {
		return err
	}
	err = s.run(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// supervisor hands events to one worker per guest.
type supervisor struct {
	Options
	alive  *os.File // locked while we run
	recs   records
	guests map[abi.UUID]*worker
	wake   chan struct{}
	ended  chan abi.UUID // a worker has let its guest go
	wg     sync.WaitGroup
}

// worker is the goroutine of one guest. Its queue never blocks the supervisor: a
// domain can end only once.
type worker struct {
	g      *guest
	events chan domains.Event
}

func (s *supervisor) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *supervisor) run(ctx context.Context) error {
	defer s.wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := s.Manager.Watch(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	s.poke()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
			if err := s.adopt(ctx); err != nil {
				s.Logger.Error("cannot read the records", logs.Error(err))
			}
		case u := <-s.ended:
			delete(s.guests, u)
			s.poke() // it may be registered anew
		case e, more := <-w.Events():
			if !more {
				return errors.Join(errors.New("the watch on domains ended"), w.Err())
			}
			if wk := s.guests[e.UUID]; wk != nil {
				wk.events <- e
			}
			continue
		}
		if done, err := s.idle(ctx); done || err != nil {
			return err
		}
	}
}

// idle reports whether nobody needs us any more. From then on a registration
// starts another supervisor.
func (s *supervisor) idle(ctx context.Context) (bool, error) {
	if len(s.guests) > 0 {
		return false, nil
	}
	door, err := lockDoor(ctx, s.recs.host, s.Dir)
	if err != nil {
		return false, err
	}
	defer door.Unlock()
	list, err := s.recs.load(s.adopted)
	if len(list) > 0 {
		s.poke()
		return false, nil
	}
	// Whoever registers now waits for the door; our lock has to be free first.
	return true, errors.Join(err, s.alive.Close())
}

// adopt starts a worker for each record that has none yet.
func (s *supervisor) adopt(ctx context.Context) error {
	list, err := s.recs.load(s.adopted)
	for _, rec := range list {
		log, logErr := s.openLog(rec)
		if logErr != nil {
			s.Logger.Error("cannot open the log", logs.String("name", rec.Name), logs.Error(logErr))
		}
		rec.Logged = true
		wk := &worker{events: make(chan domains.Event, 64),
			g: &guest{Options: s.Options, rec: rec, log: log, saved: s.recs.save}}
		s.guests[rec.UUID] = wk
		err = errors.Join(err, s.recs.save(rec))
		s.wg.Go(func() { s.work(ctx, wk) })
	}
	return err
}

// adopted reports whether a guest has its worker.
func (s *supervisor) adopted(u abi.UUID) bool { return s.guests[u] != nil }

// openLog begins the log of a guest, or goes on with it after a restart of ours.
func (s *supervisor) openLog(rec *Record) (io.WriteCloser, error) {
	h, name := s.Manager.Host(), "xl-"+rec.Name
	var f *os.File
	var err error
	if rec.Logged {
		f, err = h.OpenFile(filepath.Join(h.Log, filepath.Base(name)+".log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	} else {
		f, err = h.OpenLog(name)
	}
	if err != nil {
		return nopCloser{io.Discard}, err
	}
	return f, nil
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// work looks after one guest until there is nothing left to look after.
func (s *supervisor) work(ctx context.Context, wk *worker) {
	g := wk.g
	defer g.log.(io.Closer).Close()
	if s.follow(ctx, wk) == keep {
		return // told to end: the record stays
	}
	if err := s.forget(context.WithoutCancel(ctx), g.rec); err != nil {
		s.Logger.Error("cannot remove a record", logs.String("name", g.rec.Name), logs.Error(err))
	}
	select {
	case s.ended <- g.rec.UUID:
	case <-ctx.Done():
	}
}

// forget removes the record of a guest that is gone, unless the guest was registered
// anew as another domain meanwhile: when it moves within the host.
func (s *supervisor) forget(ctx context.Context, rec *Record) error {
	door, err := lockDoor(ctx, s.Manager.Host(), s.Dir)
	if err != nil {
		return err
	}
	defer door.Unlock()
	if now, err := s.recs.read(rec.UUID); err == nil && now.ID != rec.ID {
		return nil
	}
	return s.recs.remove(rec.UUID)
}

func (s *supervisor) follow(ctx context.Context, wk *worker) fate {
	g := wk.g
	if g.rec.Rebuilding {
		if f := g.resume(ctx); f != keep {
			return f
		}
	} else {
		g.waiting()
	}
	// What happened before we listened, in this life of the guest or between two.
	f := g.look(ctx)
	for f == keep {
		select {
		case <-ctx.Done():
			return keep
		case e := <-wk.events:
			if !g.ours(e) {
				continue
			}
			id := g.rec.ID
			if f = g.handle(ctx, e); f == keep && g.rec.ID != id {
				f = g.look(ctx)
			}
		}
	}
	return f
}

// look asks once how the guest is, for what no event will tell.
func (g *guest) look(ctx context.Context) fate {
	var d domains.Domain
	err := g.again(ctx, func() (err error) { d, err = g.Manager.Info(ctx, g.rec.ID); return err })
	switch {
	case errors.Is(err, domains.NoDomain) || err == nil && (d.Dying || d.UUID != g.rec.UUID):
		return g.handle(ctx, domains.Event{Kind: domains.Destroyed, ID: g.rec.ID, UUID: g.rec.UUID})
	case err != nil:
		g.logf("%v", err)
		return keep
	case d.Shutdown:
		id := g.rec.ID
		if f := g.handle(ctx, domains.Event{Kind: domains.ShutDown, ID: d.ID, UUID: d.UUID, Reason: d.Reason}); f != keep || g.rec.ID == id {
			return f
		}
		return g.look(ctx)
	}
	return keep
}

// Follow looks after one guest in this process, as `xl create -F` does, and
// writes its log to w. It returns when the guest has ended for good; then the
// guest needs no record.
func Follow(ctx context.Context, o Options, rec *Record, w io.Writer) error {
	s := &supervisor{Options: o}
	wk := &worker{events: make(chan domains.Event, 64),
		g: &guest{Options: s.Options, rec: rec, log: w, saved: func(*Record) error { return nil }}}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all, err := o.Manager.Watch(ctx)
	if err != nil {
		return err
	}
	defer all.Close()
	s.wg.Go(func() {
		for e := range all.Events() {
			if e.UUID == rec.UUID && e.Kind != domains.Created {
				wk.events <- e
			}
		}
	})
	f := s.follow(ctx, wk)
	cancel()
	s.wg.Wait()
	switch {
	case f == failed:
		return fmt.Errorf("%s could not be built again; see above", rec.Name)
	case f == keep:
		return context.Cause(ctx)
	}
	return nil
}
