package domains

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"goxl/domains/build"
	"goxl/domains/config"
	"goxl/domains/device"
	"goxl/domains/intent"
	"goxl/domains/logs"
	"goxl/domains/undo"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// ttyTimeout is how long a console daemon may take to serve a new guest.
const ttyTimeout = 10 * time.Second

// CreateOptions change how a guest is created. The zero value lets it run.
type CreateOptions struct {
	Paused bool // leave it paused
	// ConsoleReady is called once, when the guest's console can be opened: that
	// of the boot loader if there is one. It must not block.
	ConsoleReady func(id abi.DomID)
	// Timeline, if not nil, records how long each step took.
	Timeline *Timeline
	// Source, if not nil, is a saved guest, which goes on in the new domain: there
	// is no boot loader and no kernel then.
	Source build.Source
}

// Create makes the guest that s describes and starts it. It blocks until the
// guest's devices are up and its console is served. When it fails, or ctx ends
// first, nothing is left behind. s is not changed.
func (m *Manager) Create(ctx context.Context, s *config.Spec, o CreateOptions) (_ abi.DomID, err error) {
	c, err := m.newCreation(ctx, s, o)
	if err != nil {
		return 0, err
	}
	defer c.files.Close()
	defer c.finish(ctx, &err)
	release, err := c.reserveMemory(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	if err := c.makeDomain(ctx); err != nil {
		return 0, err
	}
	alive, stop, err := m.whileAlive(ctx, c.id)
	if err != nil {
		return 0, err
	}
	defer stop()
	if err := c.fill(alive); err != nil {
		if died := errGuestDied(0); errors.As(context.Cause(alive), &died) {
			return 0, fail(GuestDied, c.id, c.op, errors.Join(died, err))
		}
		return 0, err
	}
	c.undo.Commit()
	m.logger.Info("domain created", logs.Uint16("dom", uint16(c.id)), logs.Stringer("uuid", c.spec.CInfo.UUID),
		logs.String("name", c.spec.CInfo.Name.Value()), logs.Duration("took", time.Since(c.begin)))
	return c.id, nil
}

// finish ends the creation: what it made is undone if it failed. Its note goes
// when the guest is complete or nothing of it is left.
func (c *creation) finish(ctx context.Context, err *error) {
	clean := c.undo.Rollback(ctx, err)
	switch {
	case c.note == nil:
	case !clean:
		*err = errors.Join(*err, c.note.Leave(), errLeft)
	default:
		if e := c.note.Done(); e != nil { // it says nothing wrong: the next xl gc removes it
			c.m.logger.Warn("note of a creation not removed", logs.String("name", c.spec.CInfo.Name.Value()), logs.Error(e))
		}
	}
}

var errLeft = errors.New("something is left of it: xl gc removes that, and so does the next creation of the guest")

// creation is one guest on its way.
type creation struct {
	m     *Manager
	op    string
	opts  CreateOptions
	saved *config.Spec // what will be stored: as given, with what we chose
	spec  *config.Spec // with all defaults
	kind  Type
	begin time.Time
	undo  undo.Stack
	note  *intent.Note // on disk from the moment that there may be a domain
	id    abi.DomID
	files bootFiles
	built *build.Result

	disks    []*device.Disk
	nics     []*device.NIC
	channels []*device.Channel
	p9s      []device.P9
	vfbs     []device.VFB
	added    []device.Device // disks and interfaces that are connected
	unserved bool            // its console: no daemon runs
}

// newCreation checks everything that can be checked before anything is made.
func (m *Manager) newCreation(ctx context.Context, s *config.Spec, o CreateOptions) (*creation, error) {
	defer o.Timeline.Step("check configuration")()
	if err := refuse(s); err != nil {
		return nil, err
	}
	c := &creation{m: m, op: "create " + s.CInfo.Name.Value(), opts: o, begin: time.Now(), kind: typeOf(s.CInfo.Type)}
	c.saved = m.preparedSpec(s)
	auto, err := m.autoballoon()
	if err != nil {
		return nil, err
	}
	if auto { // libxl then stores the defaults too: it filled them in to see what the guest needs
		if err := m.setDefaults(ctx, c.saved); err != nil {
			return nil, err
		}
	}
	c.spec = cloneSpec(c.saved)
	if err := m.setDefaults(ctx, c.spec); err != nil {
		return nil, err
	}
	if err := m.collectFor(ctx, c); err != nil {
		return nil, err
	}
	if err := m.checkName(ctx, c.op, abi.DomInvalid, c.spec.CInfo.Name.Value()); err != nil {
		return nil, err
	}
	if err := c.openFiles(); err != nil {
		return nil, err
	}
	return c, nil
}

// preparedSpec is a copy of s with what xl sets before it hands a configuration
// to libxl, and what is therefore part of the stored one.
func (m *Manager) preparedSpec(s *config.Spec) *config.Spec {
	s = cloneSpec(s)
	if s.CInfo.UUID.IsZero() {
		s.CInfo.UUID = newUUID()
	}
	if id := s.CInfo.DomID; id == 0 || id >= uint32(abi.DomFirstReserved) {
		s.CInfo.DomID = config.AnyDomID
		if m.conf.RandomDomID {
			s.CInfo.DomID = config.RandomDomID
		}
	}
	for i := range s.Disks {
		s.Disks[i].COLO.RestoreEnable = config.False
	}
	return s
}

func newUUID() abi.UUID {
	var u abi.UUID
	rand.Read(u[:])                             // never fails
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80 // version 4, variant 1
	return u
}

// reserveMemory makes sure that there is enough, by making domain 0 smaller if
// that is allowed. Then others that do so wait until the returned function is
// called.
func (c *creation) reserveMemory(ctx context.Context) (release func(), err error) {
	defer c.opts.Timeline.Step("free memory")()
	m, need := c.m, neededMemory(&c.spec.BInfo)
	auto, err := m.autoballoon()
	if err != nil {
		return nil, err
	}
	if !auto {
		free, err := m.freeMemory()
		if err != nil {
			return nil, err
		}
		if free < c.spec.BInfo.TargetMem.Value() {
			short := m.shortage(ctx, abi.DomInvalid, c.spec.CInfo.Name.Value(), need, free)
			short.Hint = m.whyLeftAlone()
			return nil, short
		}
		return func() {}, nil
	}
	m.ballooning.Lock()
	lock, err := m.host.LockXL(ctx)
	if err != nil {
		m.ballooning.Unlock()
		return nil, fail(Locked, 0, c.op, err)
	}
	release = func() {
		lock.Unlock()
		m.ballooning.Unlock()
	}
	if err := m.makeRoom(ctx, &c.undo, c.spec.CInfo.Name.Value(), need); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// makeDomain creates the empty domain and its nodes in xenstore.
func (c *creation) makeDomain(ctx context.Context) error {
	end := c.opts.Timeline.Step("create domain")
	if err := c.createDomain(ctx); err != nil {
		return err
	}
	end()
	defer c.opts.Timeline.Step("xenstore nodes")()
	c.undoing("add to xenstore", func(ctx context.Context) error { return c.m.removeNodes(ctx, c.id) })
	nodes := newDomain{id: c.id, uuid: c.spec.CInfo.UUID, name: c.spec.CInfo.Name.Value(), kind: c.kind,
		suspendCompat: c.spec.CInfo.XendSuspendEvtchnCompat == config.True, driverDomain: c.spec.CInfo.DriverDomain == config.True,
		xsData: c.spec.CInfo.XSData, platformData: c.spec.CInfo.PlatformData}
	err := c.m.store.Update(ctx, func(tx *xenstore.Tx) error {
		// Two creations of one name at a time: the second sees the first's node here.
		if err := c.m.checkNameIn(ctx, tx, c.op, c.id, nodes.name); err != nil {
			return err
		}
		return nodes.write(ctx, tx)
	})
	if err != nil {
		return storeError(c.id, c.op, err)
	}
	return c.noteDeviceModel(ctx)
}

// noteDeviceModel writes which device model the guest would have.
func (c *creation) noteDeviceModel(ctx context.Context) error {
	if err := c.m.store.Write(ctx, libxlPath(c.id)+"/dm-version", c.spec.BInfo.DeviceModelVersion.String()); err != nil {
		return fail(Store, c.id, c.op, err)
	}
	return nil
}

// createDomain asks Xen for a domain whose id was not in use a moment ago.
func (c *creation) createDomain(ctx context.Context) error {
	m := c.m
	token := newUUID()
	if err := c.takeNote(ctx, token); err != nil {
		return err
	}
	args := m.createArgs(c.spec)
	args.Handle = token
	for range 64 { // as many ids may be resting; Xen goes through them in turn
		want, fixed := c.wantedDomID()
		id, err := m.xen.CreateDomainAs(want, args)
		switch {
		case errors.Is(err, xenctrl.ErrExists) && !fixed:
			continue // a random id that is taken
		case errors.Is(err, xenctrl.ErrExists):
			return failf(DomIDTaken, want, c.op, "domain %d exists already", want)
		case errors.Is(err, xenctrl.ErrNoMemory):
			free, _ := m.freeMemory()
			return m.shortage(ctx, abi.DomInvalid, c.spec.CInfo.Name.Value(), neededMemory(&c.spec.BInfo), free)
		case err != nil:
			return fail(Hypervisor, 0, c.op, err)
		}
		c.undo.Push("create domain", func(ctx context.Context) error { return m.discard(ctx, id, token, c.spec.CInfo.UUID) })
		recent, err := m.host.IsRecent(id, m.reuse)
		if err == nil && !recent {
			c.id = id
			return c.nameDomain()
		}
		if e := m.xen.DestroyDomain(ctx, id); e != nil {
			return fail(Hypervisor, id, c.op, errors.Join(err, e))
		}
		c.undo.Pop()
		if err != nil {
			return fail(Failed, id, c.op, err)
		}
		if fixed {
			return &Error{Kind: DomIDTaken, Op: c.op, Dom: id, Err: fmt.Errorf("domain id %d was in use a moment ago", id),
				Hint: fmt.Sprintf("try again in %s", m.reuse)}
		}
	}
	return failf(DomIDTaken, 0, c.op, "no domain id found that was not in use a moment ago")
}

// takeNote writes down that there may be a domain from now on. Xen will know it by
// token at first: no other domain ever has that handle, so a domain of whose id we
// were not told any more can still be found.
func (c *creation) takeNote(ctx context.Context, token abi.UUID) error {
	var err error
	c.note, err = intent.Begin(ctx, c.m.host, c.m.intents(), intent.Record{Token: token, UUID: c.spec.CInfo.UUID,
		Name: c.spec.CInfo.Name.Value(), Paused: c.opts.Paused})
	if err != nil {
		return fail(Failed, 0, c.op, err)
	}
	return nil
}

// nameDomain notes the id of the new domain and gives it the guest's uuid.
func (c *creation) nameDomain() error {
	if err := c.note.Made(c.id); err != nil {
		return fail(Failed, c.id, c.op, err)
	}
	if err := c.m.xen.SetDomainHandle(c.id, c.spec.CInfo.UUID); err != nil {
		return fail(Hypervisor, c.id, c.op, err)
	}
	return nil
}

// undoing pushes an undo step about what stands under the domain's id. It is left
// out when somebody destroyed the domain and the id names another one by now.
func (c *creation) undoing(what string, undo func(context.Context) error) {
	c.undo.Push(what, func(ctx context.Context) error {
		if d, err := c.m.info(c.id); err == nil && d.UUID != c.spec.CInfo.UUID {
			return nil
		}
		return undo(ctx)
	})
}

// discard destroys a domain that was never finished, and lets its id rest. The
// domain may be gone, and its id another's: handles are the ones that ours had.
func (m *Manager) discard(ctx context.Context, id abi.DomID, handles ...abi.UUID) error {
	d, err := m.info(id)
	if errors.Is(err, NoDomain) || err == nil && !slices.Contains(handles, d.UUID) {
		return nil
	}
	err = errors.Join(err, m.host.MarkRecent(ctx, id, m.reuse))
	if e := m.endDomain(ctx, id); e != nil {
		err = errors.Join(err, e)
	}
	return err
}

// wantedDomID returns the id to ask Xen for; fixed says that no other will do.
func (c *creation) wantedDomID() (id abi.DomID, fixed bool) {
	switch want := c.spec.CInfo.DomID; want {
	case config.AnyDomID:
		return abi.DomAny, false
	case config.RandomDomID:
		var b [2]byte
		for id == 0 || id >= abi.DomFirstReserved {
			rand.Read(b[:])
			id = abi.DomID(b[0]) | abi.DomID(b[1]&0x7f)<<8
		}
		return id, false
	default:
		return abi.DomID(want), true
	}
}

// fill turns the empty domain into a guest with all its devices.
func (c *creation) fill(ctx context.Context) error {
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"choose backends", c.chooseBackends},
		{"boot loader", c.bootload},
		{"build", c.build},
		{"introduce", c.introduce},
		{"disks", c.addDisks},
		{"consoles", c.addConsoles},
		{"device model", c.startDeviceModel},
		{"network interfaces", c.addNICs},
		{"await console", c.awaitConsole},
		{"store configuration", c.storeConfig},
		{"unpause", c.start},
	} {
		if err := ctx.Err(); err != nil {
			return fail(Interrupted, c.id, c.op, context.Cause(ctx))
		}
		end := c.opts.Timeline.Step(step.name)
		if err := step.run(ctx); err != nil {
			return err
		}
		end()
	}
	return nil
}

// storeConfig writes libxl's file about the guest.
func (c *creation) storeConfig(ctx context.Context) error {
	u := &userdata{c.m, c.id, c.spec.CInfo.UUID}
	l, err := u.lock(ctx, dataLock)
	if err != nil {
		return err
	}
	defer l.Unlock()
	c.undoing("store configuration", func(context.Context) error { return u.removeAll() })
	c.adopt()
	if err := u.setConfig(c.saved); err != nil {
		return fail(Failed, c.id, c.op, err)
	}
	return nil
}

// adopt copies into the configuration to be stored what was chosen for the
// guest and must stay when it is built again (libxl__update_domain_configuration).
func (c *creation) adopt() {
	for i := range c.saved.NICs {
		c.saved.NICs[i].DevID = c.spec.NICs[i].DevID
		c.saved.NICs[i].Type = c.spec.NICs[i].Type
		c.saved.NICs[i].MAC = c.spec.NICs[i].MAC
	}
	c.saved.CInfo.UUID = c.spec.CInfo.UUID
	c.saved.BInfo.VideoMem = c.spec.BInfo.VideoMem
	c.saved.BInfo.ArchX86.MSRRelaxed.SetDefault(c.spec.BInfo.ArchX86.MSRRelaxed == config.True)
}

func (c *creation) start(ctx context.Context) error {
	if c.opts.Paused {
		return nil
	}
	return c.m.Unpause(ctx, c.id)
}
