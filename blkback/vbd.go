package blkback

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"goxl/backends"
	"goxl/blkback/blkif"
	"goxl/blkback/disk"
	"goxl/domains/logs"
	"goxl/xenctrl/abi"
)

// connectionKey is the backend's node with the id of the connection that the journal
// belongs to.
const connectionKey = "goxl-connection"

// Bits of the node "info". Source: VDISK_* of blkif.h.
const (
	infoCDROM     = 1
	infoRemovable = 2
	infoReadOnly  = 4
)

// vbd is one virtual disk.
type vbd struct {
	node  *backends.Node
	opt   *Options
	log   *logs.Logger
	place place
	disk  disk.Disk
	info  disk.Info
	stats *counters
	gov   *governor
	rules func() Rules
	gone  func() // forgets the device

	sectors atomic.Uint64
	noting  noting

	looking sync.Mutex // at the policy
	policy  Policy
	owner   owner
	said    string // by its node

	// Of the present connection; nil between them.
	journal *journal
	queues  []*queue
}

// limits is what requests are checked against now.
func (v *vbd) limits() blkif.Disk {
	return blkif.Disk{
		Sectors: v.sectors.Load(), SectorSize: v.info.SectorSize, ReadOnly: v.readOnly(),
		Discard: v.discards(), MaxIndirect: maxIndirect,
	}
}

func (v *vbd) readOnly() bool { return v.info.ReadOnly || v.place.readOnly }

func (v *vbd) discards() bool {
	return v.place.discard && v.info.DiscardGranularity > 0 && !v.readOnly()
}

// Features is what every frontend of this disk may use.
func (v *vbd) Features(context.Context) ([]backends.Key, error) {
	keys := []backends.Key{
		{Name: "hotplug-status", Value: "connected"},
		backends.Flag("feature-barrier", !v.readOnly()),
		backends.Flag("feature-flush-cache", true),
		backends.Flag("feature-persistent", false),
		backends.Uint("feature-max-indirect-segments", maxIndirect),
		backends.Uint("max-ring-page-order", uint64(maxRingOrder)),
		backends.Uint("max-ring-pages", maxRingPages),
		backends.Uint("multi-queue-max-queues", uint64(v.opt.Queues)),
		backends.Flag("feature-discard", v.discards()),
	}
	if v.discards() {
		keys = append(keys, backends.Uint("discard-granularity", uint64(v.info.DiscardGranularity)),
			backends.Uint("discard-alignment", uint64(v.info.DiscardAlignment)), backends.Flag("discard-secure", false))
	}
	return append(keys, v.geometry()...), nil
}

func (v *vbd) geometry() []backends.Key {
	info := uint64(0)
	if v.place.cdrom {
		info |= infoCDROM
	}
	if v.place.removable {
		info |= infoRemovable
	}
	if v.readOnly() {
		info |= infoReadOnly
	}
	return []backends.Key{
		backends.Uint("sectors", v.sectors.Load()),
		backends.Uint("sector-size", uint64(max(v.info.SectorSize, blkif.SectorSize))),
		backends.Uint("physical-sector-size", uint64(max(v.info.PhysicalSectorSize, v.info.SectorSize, blkif.SectorSize))),
		backends.Uint("info", info),
	}
}

// Connect reads what rings the frontend wants and attaches to them.
func (v *vbd) Connect(ctx context.Context, l *backends.Link) ([]backends.Key, error) {
	p, err := readParams(ctx, l, v.opt.Queues)
	if err != nil {
		return nil, err
	}
	p.id = newConnectionID()
	j, err := createJournal(v.journalPath(), p)
	if err != nil {
		return nil, err
	}
	v.journal = j
	if err := v.attach(l, false); err != nil {
		return nil, err
	}
	return append(v.geometry(), backends.Key{Name: connectionKey, Value: p.id}), nil
}

// Reattach goes on with the rings that the journal names, whatever the frontend's
// nodes say by now.
func (v *vbd) Reattach(ctx context.Context, l *backends.Link) error {
	k, err := v.node.Back(ctx, connectionKey)
	if err != nil {
		return err
	}
	j, err := openJournal(v.journalPath())
	if err != nil {
		return err
	}
	v.journal = j
	if j.id != k[connectionKey] {
		return fmt.Errorf("%w: it is of connection %s, not %.40q", ErrJournal, j.id, k[connectionKey])
	}
	return v.attach(l, true)
}

// attach maps all rings and binds all ports.
func (v *vbd) attach(l *backends.Link, resume bool) error {
	v.queues = nil
	for i, s := range sections(v.journal.mem, v.journal.params) {
		qp := v.journal.queues[i]
		mem, err := l.Map(qp.refs...)
		if err != nil {
			return err
		}
		port, err := l.BindPolled(qp.port)
		if err != nil {
			return err
		}
		copies, err := l.NewBatch()
		if err != nil {
			return err
		}
		copies.Quiet = true
		v.queues = append(v.queues, &queue{
			dom: l.Dom(), layout: v.journal.layout, disk: noted{v.disk, &v.noting}, limits: v.limits, stats: v.stats, gov: v.gov,
			direct: v.disk, mark: v.noting.mark, log: v.log,
			mem: mem, port: port, copies: copies, journal: s, resume: resume,
			workers: v.opt.Workers, bufs: newBuffers(v.opt.Memory), clock: newClock(), rest: newRest(),
		})
	}
	return nil
}

// Serve serves all rings. A broken one ends all.
func (v *vbd) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer v.noting.serves(v.queues)()
	var wg sync.WaitGroup
	errs := make([]error, len(v.queues))
	for i, q := range v.queues {
		wg.Go(func() {
			defer close(q.over)
			if errs[i] = q.serve(ctx); errs[i] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Release forgets the connection.
func (v *vbd) Release() error {
	j := v.journal
	v.journal, v.queues = nil, nil
	if j == nil { // there may be one that could not be used
		j = &journal{path: v.journalPath()}
	}
	return j.remove()
}

// Close ends the disk and leaves the journal to the next process, if there is a
// connection to go on with.
func (v *vbd) Close() error {
	v.gone()
	j := v.journal
	v.journal, v.queues = nil, nil
	err := j.close()
	if !v.readOnly() {
		err = errors.Join(err, v.disk.Flush())
	}
	return errors.Join(err, v.disk.Close())
}

// FrontKeys names no nodes: all that the frontend says is read when it connects.
func (v *vbd) FrontKeys() []string { return nil }

// Changed looks at the disk's policy, and whether it has another size, which it tells
// the frontend.
func (v *vbd) Changed(ctx context.Context) error {
	if err := v.lookAtPolicy(ctx, false); err != nil {
		return err
	}
	r, ok := v.disk.(disk.Refresher)
	if !ok {
		return nil
	}
	n, err := r.Refresh()
	if err != nil {
		return fmt.Errorf("look at the disk's size: %w", err)
	}
	sectors := uint64(n) / blkif.SectorSize
	if old := v.sectors.Swap(sectors); old != sectors && v.journal != nil {
		v.log.Info("disk has a new size", logs.Uint64("sectors", sectors), logs.Uint64("before", old))
		return v.node.Publish(ctx, backends.Uint("sectors", sectors))
	}
	return nil
}

func (v *vbd) journalPath() string { return v.opt.journalPath(v.node.ID) }

const maxRingOrder = 4

// readParams reads the frontend's nodes, each once.
func readParams(ctx context.Context, l *backends.Link, maxQueues int) (*params, error) {
	k, err := l.Front(ctx, "protocol", "ring-page-order", "num-ring-pages", "multi-queue-num-queues", "ring-ref", "event-channel")
	if err != nil {
		return nil, err
	}
	p := &params{pages: 1}
	if p.layout, err = blkif.ParseProtocol(k["protocol"]); err != nil {
		return nil, fmt.Errorf("%w: %w", backends.ErrFrontend, err)
	}
	order, multi, err := k.Uint("ring-page-order", 0, maxRingOrder)
	if err != nil {
		return nil, err
	}
	p.pages = 1 << order
	if !multi {
		n, ok, err := k.Uint("num-ring-pages", 1, maxRingPages)
		if err != nil {
			return nil, err
		}
		if ok {
			if n&(n-1) != 0 {
				return nil, fmt.Errorf("%w: num-ring-pages is %d, no power of two", backends.ErrFrontend, n)
			}
			p.pages, multi = int(n), true
		}
	}
	queues, ok, err := k.Uint("multi-queue-num-queues", 1, uint64(maxQueues))
	if err != nil {
		return nil, err
	}
	if !ok || queues == 1 {
		if _, single := k["ring-ref"]; single && p.pages == 1 {
			multi = false
		}
		q, err := readQueue(ctx, l, "", p.pages, multi)
		if err != nil {
			return nil, err
		}
		p.queues = []queueParams{q}
		return p, p.distinct()
	}
	for i := range queues {
		q, err := readQueue(ctx, l, fmt.Sprintf("queue-%d/", i), p.pages, multi)
		if err != nil {
			return nil, err
		}
		p.queues = append(p.queues, q)
	}
	return p, p.distinct()
}

func readQueue(ctx context.Context, l *backends.Link, dir string, pages int, multi bool) (queueParams, error) {
	names := []string{dir + "ring-ref"}
	if multi {
		names = names[:0]
		for i := range pages {
			names = append(names, fmt.Sprintf("%sring-ref%d", dir, i))
		}
	}
	k, err := l.Front(ctx, append(names, dir+"event-channel")...)
	if err != nil {
		return queueParams{}, err
	}
	var q queueParams
	for _, n := range names {
		ref, err := k.Need(n, 0, 1<<32-1)
		if err != nil {
			return q, err
		}
		q.refs = append(q.refs, abi.GrantRef(ref))
	}
	port, err := k.Need(dir+"event-channel", 1, 1<<17)
	q.port = abi.Port(port)
	return q, err
}

// distinct refuses rings that share a page.
func (p *params) distinct() error {
	seen := map[abi.GrantRef]bool{}
	for _, q := range p.queues {
		for _, r := range q.refs {
			if seen[r] {
				return fmt.Errorf("%w: reference %d is used for two pages of rings", backends.ErrFrontend, r)
			}
			seen[r] = true
		}
	}
	return nil
}
