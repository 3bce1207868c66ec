package console

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"goxl/domains/logs"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// Limits for a console's node "limit", in bytes.
const (
	defaultLimit = 1 << 20
	minLimit     = 16 << 10
	maxLimit     = 16 << 20
)

// rebindEvery is how often a console that another process serves is asked for.
const rebindEvery = 2 * time.Second

// guest is the service of one domain's console: a goroutine that follows the
// console's nodes, with what it starts below it.
type guest struct {
	d      *Daemon
	id     abi.DomID
	uuid   abi.UUID
	dir    string // of the console's nodes
	log    *logs.Logger
	cancel context.CancelCauseFunc
	reload chan struct{}
	looked chan struct{} // closed when the nodes were looked at once

	// Of the goroutine.
	name   string
	sink   *sink
	ref    string // of the ring that is served
	remote string // its port
	port   Port
	unlink context.CancelFunc
	ended  chan error // by the link; nil: there is none
	nag    nag
}

// startGuest begins to serve domain id.
func (d *Daemon) startGuest(ctx context.Context, id abi.DomID, uuid abi.UUID) *guest {
	g := &guest{d: d, id: id, uuid: uuid, reload: make(chan struct{}, 1), looked: make(chan struct{}),
		dir: domainPath(id) + "/console", log: d.log.With(logs.Uint16("dom", uint16(id)))}
	g.nag = nag{log: g.log, text: "cannot serve the console"}
	ctx, g.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	g.log.Debug("new domain")
	d.ending.Go(func() { g.serve(ctx) })
	return g
}

// stop ends the service; the cause is errDead for a domain that is gone. It does not
// wait.
func (g *guest) stop(cause error) { g.cancel(cause) }

// serve follows the domain until ctx ends.
func (g *guest) serve(ctx context.Context) {
	defer g.finish(ctx)
	for ctx.Err() == nil {
		err := g.follow(ctx)
		if ctx.Err() == nil {
			g.nag.hit(err)
			pause(ctx, lookAgain)
		}
	}
}

// follow is serve as long as one watch lasts.
func (g *guest) follow(ctx context.Context) error {
	w, err := g.d.store.Watch(ctx, g.dir, xenstore.Merge(), xenstore.Token("console"))
	if err != nil {
		return fmt.Errorf("watch console: %w", err)
	}
	defer w.Close()
	if err := w.Add(ctx, g.namePath(), xenstore.Token("name")); err != nil {
		return fmt.Errorf("watch name: %w", err)
	}
	again := time.NewTimer(time.Hour)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-w.Events():
			if !ok {
				return fmt.Errorf("watch console: %w", w.Err())
			}
		case <-again.C:
		case err := <-g.ended:
			g.ended = nil
			g.nag.hit(err)
			g.closeSink(g.sink.close)
			again.Reset(lookAgain)
			continue
		case <-g.reload:
			if g.sink != nil {
				g.sink.reopenLog(g.logPath())
			}
			continue
		}
		if err := g.refresh(ctx); err != nil && ctx.Err() == nil {
			g.nag.hit(err)
			again.Reset(rebindEvery)
		}
		g.noteLook()
	}
}

// noteLook says that there was a first look; whoever waits for it need not any more.
func (g *guest) noteLook() {
	select {
	case <-g.looked:
	default:
		close(g.looked)
	}
}

// nodes are a console's nodes as the toolstack wrote them.
type nodes struct {
	name, ref, port, kind, limit string
}

func (g *guest) readNodes(ctx context.Context) (n nodes, err error) {
	var b xenstore.Batch
	name, ref, port := b.Read(g.namePath()), b.Read(g.dir+"/ring-ref"), b.Read(g.dir+"/port")
	kind, limit := b.Read(g.dir+"/type"), b.Read(g.dir+"/limit")
	if err := g.d.store.Send(ctx, &b); err != nil {
		return n, fmt.Errorf("read console nodes: %w", err)
	}
	for _, r := range []struct {
		reply *xenstore.Reply
		to    *string
	}{{name, &n.name}, {ref, &n.ref}, {port, &n.port}, {kind, &n.kind}, {limit, &n.limit}} {
		v, err := r.reply.Value()
		if err != nil && !errors.Is(err, xenstore.ErrNotFound) {
			return n, fmt.Errorf("read console nodes: %w", err)
		}
		*r.to = v
	}
	return n, nil
}

// refresh looks at the nodes and serves the ring that they name.
func (g *guest) refresh(ctx context.Context) error {
	n, err := g.readNodes(ctx)
	if err != nil {
		return err
	}
	g.rename(n.name)
	if n.ref == "" || n.port == "" || n.kind != "" && n.kind != "xenconsoled" {
		return nil // not there yet, or QEMU's
	}
	if g.ended != nil && n.ref == g.ref && n.port == g.remote {
		if bound, err := g.port.Bound(); err == nil && bound {
			return nil
		}
	}
	ref, err := strconv.ParseUint(n.ref, 10, 64)
	if err != nil {
		return fmt.Errorf("console ring of domain %d: %w", g.id, err)
	}
	remote, err := strconv.ParseUint(n.port, 10, 32)
	if err != nil {
		return fmt.Errorf("console port of domain %d: %w", g.id, err)
	}
	g.closeLink()
	page, err := g.d.host.MapPrimary(g.id, abi.GFN(ref))
	if err != nil {
		return err
	}
	port, err := g.d.host.Bind(g.id, abi.Port(remote))
	if err != nil {
		return fmt.Errorf("is another daemon serving it? %w", errors.Join(err, page.Close()))
	}
	if err := g.openSink(n.limit); err != nil {
		return errors.Join(err, port.Close(), page.Close())
	}
	if err := g.publish(ctx); err != nil {
		return errors.Join(err, port.Close(), page.Close())
	}
	g.ref, g.remote, g.port = n.ref, n.port, port
	g.startLink(page, port)
	g.log.Debug("console is served", logs.String("tty", g.sink.out.Path()))
	return nil
}

func (g *guest) startLink(page Page, port Port) {
	l := newLink(page, port, g.sink, g.log)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	g.unlink, g.ended = cancel, ended
	go func() { ended <- l.run(ctx) }()
}

// closeLink stops serving the ring; the sink stays.
func (g *guest) closeLink() {
	if g.ended == nil {
		return
	}
	g.unlink()
	g.nag.hit(<-g.ended)
	g.ended = nil
}

// publish tells where the terminal is, unless the console's nodes have gone meanwhile:
// nothing may be left of them.
func (g *guest) publish(ctx context.Context) error {
	err := g.d.store.Update(ctx, func(tx *xenstore.Tx) error {
		if _, err := tx.Read(ctx, g.dir+"/ring-ref"); err != nil {
			return err
		}
		return tx.Write(ctx, g.dir+"/tty", g.sink.out.Path())
	})
	if err != nil {
		return fmt.Errorf("tell where the console is: %w", err)
	}
	return nil
}

// openSink makes the terminal and opens the files, unless they are there.
func (g *guest) openSink(limit string) error {
	if g.sink != nil {
		return nil
	}
	pty, err := openTerminal()
	if err != nil {
		return err
	}
	var file *logFile
	if g.d.opt.GuestLogs && g.name != "" {
		if file, err = openLog(g.logPath(), g.d.opt.GuestLog, g.d.now); err != nil {
			g.log.Error("no log of the console", logs.Error(err))
		}
	}
	var t *tail
	resumed := false
	if g.d.opt.TailDir != "" && g.name != "" {
		who := TailInfo{Dom: g.id, UUID: g.uuid, Boot: g.d.boot, Begun: g.d.now()}
		if t, resumed, err = openTail(g.d.opt.TailDir, g.name, who); err != nil {
			g.log.Error("the console's last output will not be kept", logs.Error(err))
		}
	}
	wait := backlog{limit: parseLimit(limit), keep: g.d.opt.KeepOverflow}
	g.sink = newSink(pty, wait, file, t, resumed, g.log)
	return nil
}

// parseLimit reads a console's limit; what makes no sense is the usual one.
func parseLimit(s string) int {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 0, 64)
	if err != nil || n == 0 {
		return defaultLimit
	}
	return int(min(max(n, minLimit), maxLimit))
}

// rename follows the guest's name.
func (g *guest) rename(name string) {
	if name == "" || name == g.name {
		return
	}
	g.name = name
	if g.sink != nil {
		g.sink.rename(g.logPath(), g.d.opt.TailDir, name)
	}
}

// finish gives everything back.
func (g *guest) finish(ctx context.Context) {
	g.noteLook()
	g.closeLink()
	if errors.Is(context.Cause(ctx), errDead) {
		g.closeSink(func() error { return g.sink.end(context.Background(), g.d.now()) })
		g.log.Debug("domain is gone")
		return
	}
	g.closeSink(func() error { return g.sink.close() })
}

func (g *guest) closeSink(how func() error) {
	if g.sink == nil {
		return
	}
	g.nag.hit(how())
	g.sink = nil
}

func (g *guest) namePath() string { return domainPath(g.id) + "/name" }

func (g *guest) logPath() string { return logPath(g.d.opt.LogDir, g.name, "") }

func domainPath(id abi.DomID) string { return fmt.Sprintf("/local/domain/%d", id) }
