package domains

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"goxl/domains/build"
	"goxl/domains/config"
	"goxl/domains/image"
	"goxl/domains/image/cache"
	"goxl/domains/logs"
	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// openFiles opens the kernel and the ramdisk that the configuration names, so
// that a wrong path is found before anything exists. With a boot loader they are
// names for it to make sense of; a guest that was saved has its kernel with it.
func (c *creation) openFiles() (err error) {
	b := &c.spec.BInfo
	if b.Bootloader.IsSet() || c.opts.Source != nil {
		return nil
	}
	c.files.kernelPath, c.files.ramdiskPath = b.Kernel.Value(), b.Ramdisk.Value()
	c.files.cmdLine, c.files.hasCmd = b.Cmdline.Get()
	if c.files.kernel, err = c.open("kernel", c.files.kernelPath); err != nil {
		return err
	}
	if c.files.ramdiskPath != "" {
		if c.files.ramdisk, err = c.open("ramdisk", c.files.ramdiskPath); err != nil {
			c.files.Close()
			return err
		}
	}
	return nil
}

func (c *creation) open(what, path string) (*os.File, error) {
	f, err := c.m.host.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, &Error{Kind: NoFile, Op: c.op, Err: fmt.Errorf("%s: %w", what, err), Hint: "check " + what + "= in the configuration"}
	}
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		f.Close()
		return nil, failf(NoFile, 0, c.op, "%s: %s is not a regular file", what, path)
	}
	return f, nil
}

// bootload runs the boot loader, if there is one.
func (c *creation) bootload(ctx context.Context) error {
	info := &c.spec.BInfo
	program, ok := info.Bootloader.Get()
	if !ok || c.opts.Source != nil {
		return nil
	}
	disk := &c.spec.Disks[0]
	if f := disk.Format; f != config.FormatRaw && f != config.FormatUnknown || disk.Script.IsSet() || disk.Backend.Name.IsSet() || disk.Backend.DomID != 0 {
		return &Error{Kind: Unsupported, Op: c.op, Dom: c.id,
			Err:  fmt.Errorf("boot loader: the first disk (%s) is not a raw file or device of this domain: %w", disk.VDev, errors.ErrUnsupported),
			Hint: "make a raw disk the first one, or use kernel="}
	}
	b := &bootloader{id: c.id, program: program, extra: info.BootloaderArgs, kernel: info.Kernel.Value(), ramdisk: info.Ramdisk.Value(),
		cmdLine: info.Cmdline.Value(), disk: disk.Path.Value(), host: c.m.host, libExec: c.m.paths.LibExec, logger: c.m.logger,
		publish: func(ctx context.Context, tty string) error {
			err := c.m.store.Write(ctx, domainPath(c.id)+"/console/tty", tty)
			if err == nil {
				c.consoleReady()
			}
			return err
		}}
	files, err := b.run(ctx)
	if err != nil {
		return fail(Bootloader, c.id, c.op, err)
	}
	c.files = *files
	return nil
}

// consoleReady tells the caller, once.
func (c *creation) consoleReady() {
	if f := c.opts.ConsoleReady; f != nil {
		c.opts.ConsoleReady = nil
		f(c.id)
	}
}

// build fills the domain, from a kernel or from a saved guest.
func (c *creation) build(ctx context.Context) error {
	img, release, err := c.loadImage()
	if err != nil {
		return err
	}
	defer release()
	p, err := c.buildParams(ctx, img)
	if err != nil {
		return err
	}
	c.built, err = build.Run(ctx, c.m.xen, c.id, p)
	if err != nil {
		return c.buildError(ctx, err)
	}
	return nil
}

// loadImage loads the kernel, if there is to be one.
func (c *creation) loadImage() (_ *image.Image, release func(), err error) {
	if c.opts.Source != nil {
		return nil, func() {}, nil
	}
	defer c.opts.Timeline.Step("load kernel")()
	kernel, err := c.loadKernel()
	if err != nil {
		return nil, nil, err
	}
	return kernel.Image, func() { kernel.Close() }, nil
}

// buildError gives a failure of the builder its code, and a lack of memory its
// numbers.
func (c *creation) buildError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, xenctrl.ErrNoMemory):
		free, _ := c.m.freeMemory()
		if d, err := c.m.info(c.id); err == nil {
			free += d.Current // what the guest got is free again in a moment
		}
		short := c.m.shortage(ctx, c.id, c.spec.CInfo.Name.Value(), neededMemory(&c.spec.BInfo), free)
		short.Err = fmt.Errorf("%w: %w", err, short.Err)
		return short
	case errors.Is(err, image.ErrFormat), errors.Is(err, image.ErrTooBig):
		return fail(BadKernel, c.id, c.op, err)
	case errors.Is(err, build.ErrTooSmall):
		return &Error{Kind: BadConfig, Op: c.op, Dom: c.id, Err: err, Hint: "raise memory="}
	case errors.Is(err, errors.ErrUnsupported):
		return fail(Unsupported, c.id, c.op, err)
	}
	return fail(Hypervisor, c.id, c.op, err)
}

func (c *creation) loadKernel() (*cache.Kernel, error) {
	file := c.files.kernel
	if pvh := c.spec.BInfo.PVH; pvh != nil && pvh.PVShim == config.True {
		shim, err := c.open("pvshim_path", pvh.PVShimPath.Value())
		if err != nil {
			return nil, err
		}
		defer shim.Close()
		file = shim
	}
	kernel, err := c.m.kernels.Load(file)
	if err != nil {
		return nil, &Error{Kind: BadKernel, Op: c.op, Dom: c.id, Err: fmt.Errorf("kernel %s: %w", c.files.kernelPath, err)}
	}
	return kernel, nil
}

// buildParams turns the configuration into what the builder wants to know.
func (c *creation) buildParams(ctx context.Context, img *image.Image) (build.Params, error) {
	b := &c.spec.BInfo
	p := build.Params{
		Kind: build.PVH, Image: img, Source: c.opts.Source, CmdLine: c.files.cmdLine,
		Target: b.TargetMem.Value(), MaxMem: b.MaxMem.Value(), Paging: b.ShadowMem.Value(), Claim: b.ClaimMode == config.True,
		VCPUs: b.MaxVCPUs, Online: b.AvailVCPUs, HardAffinity: b.VCPUHardAffinity, SoftAffinity: b.VCPUSoftAffinity,
		Nodes: b.NodeMap, PlaceNUMA: c.placeNUMA(), VNUMA: b.VNUMANodes,
		CPUPolicy: b.CPUID, NoMigrate: b.DisableMigrate == config.True, NestedHVM: b.NestedHVM == config.True, PAE: true,
		TSC: build.TSCMode(b.TSCMode), TimeOffset: c.timeOffset(), Log: c.m.logger,
	}
	if c.kind == PV {
		p.Kind, p.Paging = build.PV, 0
		p.Slack, p.E820Host = b.PV.SlackMem.Value(), b.PV.E820Host == config.True
	} else {
		p.TimerMode = uint64(max(b.TimerMode-1, 0))
		if !c.m.xen.Has(xenctrl.Altp2mAtCreate) {
			p.Altp2m = uint64(b.Altp2m)
		}
	}
	if err := c.addModules(&p); err != nil {
		return p, err
	}
	var err error
	if p.Store.Remote, err = c.daemonDomain(ctx, "xenstored"); err != nil {
		return p, err
	}
	p.Console.Remote, err = c.daemonDomain(ctx, "xenconsoled")
	return p, err
}

// addModules hands the ramdisk to the kernel; with a shim, the kernel to the shim.
func (c *creation) addModules(p *build.Params) error {
	files := []*os.File{c.files.ramdisk}
	lines := []string{""}
	if pvh := c.spec.BInfo.PVH; pvh != nil && pvh.PVShim == config.True {
		files = append([]*os.File{c.files.kernel}, files...)
		lines = []string{c.files.cmdLine, ""}
		p.CmdLine = pvh.PVShimCmdline.Value()
		if extra, ok := pvh.PVShimExtra.Get(); ok {
			p.CmdLine += " " + extra
		}
	}
	for i, f := range files {
		if f == nil {
			continue
		}
		fi, err := f.Stat()
		if err != nil {
			return fail(NoFile, c.id, c.op, err)
		}
		p.Modules = append(p.Modules, build.Module{Data: f, Size: fi.Size(), CmdLine: lines[i]})
	}
	return nil
}

// placeNUMA reports whether the guest's nodes are ours to choose. libxl warns
// when they are not because the configuration says more.
func (c *creation) placeNUMA() bool {
	b := &c.spec.BInfo
	if b.NUMAPlacement == config.False {
		return false
	}
	if !b.CPUMap.IsEmpty() || len(b.VCPUSoftAffinity) > 0 || !b.NodeMap.IsEmpty() {
		c.m.logger.Warn("no NUMA placement: affinities are configured", logs.Uint16("dom", uint16(c.id)))
		return false
	}
	return true
}

// timeOffset is the guest's clock against UTC.
func (c *creation) timeOffset() time.Duration {
	offset := time.Duration(int32(c.spec.BInfo.RTCTimeOffset)) * time.Second
	if c.spec.BInfo.LocalTime == config.True {
		_, east := time.Now().Zone()
		offset += time.Duration(east) * time.Second
	}
	return offset
}

// daemonDomain reads in which domain a daemon runs; 0 when it does not say.
func (c *creation) daemonDomain(ctx context.Context, daemon string) (abi.DomID, error) {
	s, _, err := c.m.read(ctx, "/tool/"+daemon+"/domid")
	if err != nil {
		return 0, fail(Store, c.id, c.op, err)
	}
	return abi.DomID(leadingNumber(s)), nil
}

// introduce sets what the scheduler and xenstore shall know and connects the
// guest to xenstore.
func (c *creation) introduce(ctx context.Context) error {
	b := &c.spec.BInfo
	if err := c.m.setSched(c.id, b.MaxVCPUs, b.SchedParams); err != nil {
		return err
	}
	nodes := builtDomain{id: c.id, uuid: c.spec.CInfo.UUID, kind: c.kind,
		max: b.MaxMem.Value(), target: b.TargetMem.Value() - targetFudge(b), video: b.VideoMem.Value(),
		port: c.built.Store.Port, ring: c.built.Store.Frame, vcpus: b.MaxVCPUs, online: b.AvailVCPUs.Has, started: time.Now(),
		kernel: c.files.kernelPath, ramdisk: c.files.ramdiskPath, cmdLine: c.files.cmdLine, hasCmd: c.files.hasCmd}
	err := c.m.store.Update(ctx, func(tx *xenstore.Tx) error { return nodes.write(ctx, tx) })
	if err == nil {
		err = c.m.store.Introduce(ctx, c.id, c.built.Store.Frame, c.built.Store.Port)
	}
	if err != nil {
		return fail(Store, c.id, c.op, err)
	}
	return c.noteDeviceModel(ctx)
}

// awaitConsole waits until a console daemon serves the guest. One that goes on has
// been served before, and does not stand still for it: its creator may wait once it
// runs, with AwaitConsole.
func (c *creation) awaitConsole(ctx context.Context) error {
	if c.opts.Source != nil && c.opts.ConsoleReady == nil {
		return nil
	}
	if err := c.m.awaitConsole(ctx, c.op, c.id); err != nil {
		c.unserved = errors.Is(err, errNoTTY)
		return err
	}
	c.consoleReady()
	return nil
}

// AwaitConsole blocks until a console daemon serves guest id: 10 s at most, until the
// guest's death, which is no error, or until ctx ends.
func (m *Manager) AwaitConsole(ctx context.Context, id abi.DomID) error {
	alive, stop, err := m.whileAlive(ctx, id)
	if err != nil {
		return err
	}
	defer stop()
	err = m.awaitConsole(alive, "wait for the console", id)
	if died := errGuestDied(0); errors.As(context.Cause(alive), &died) {
		return nil
	}
	return err
}

// settleTimeout is how long a console daemon that runs takes to serve a guest, at most.
const settleTimeout = time.Second

// SettleConsole is called before guest id, which was made just now, is destroyed. It
// waits until the console daemon has written where it serves the guest, for a second at
// most: written afterwards, the node would stay.
func (m *Manager) SettleConsole(ctx context.Context, id abi.DomID) {
	soon, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	if err := m.AwaitConsole(soon, id); err != nil {
		m.logger.Debug("console not served before its guest's end", logs.Uint16("dom", uint16(id)), logs.Error(err))
	}
}

func (m *Manager) awaitConsole(ctx context.Context, op string, id abi.DomID) error {
	wait, cancel := context.WithTimeoutCause(ctx, ttyTimeout, errNoTTY)
	defer cancel()
	_, err := m.store.Await(wait, domainPath(id)+"/console/tty", func(v string, _ bool) bool { return v != "" })
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errNoTTY):
		return &Error{Kind: TimedOut, Op: op, Dom: id, Err: errNoTTY, Hint: "does xenconsoled run?"}
	case ctx.Err() != nil:
		return fail(Interrupted, id, op, err)
	}
	return fail(Store, id, op, err)
}

var errNoTTY = errors.New("nobody served its console within " + strconv.Itoa(int(ttyTimeout/time.Second)) + " s: " +
	"xenstore's console/tty stayed empty")
