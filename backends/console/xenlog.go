package console

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"

	"goxl/domains/logs"
)

// hypervisorLog writes what Xen logs to hypervisor.log.
type hypervisorLog struct {
	host Host
	port Port
	bad  nag
	next uint32

	mu   sync.Mutex
	file *logFile
}

// startHypervisorLog begins with what Xen's ring still has, and goes on until ctx
// ends. Whoever holds Xen's interrupt already, as another console daemon does, is an
// error.
func (d *Daemon) startHypervisorLog(ctx context.Context, others *sync.WaitGroup) error {
	file, err := openLog(filepath.Join(d.opt.LogDir, "hypervisor.log"), d.opt.XenLog, d.now)
	if err != nil {
		return err
	}
	port, err := d.host.BindHypervisorLog()
	if err != nil {
		file.Close() // nothing was written
		return fmt.Errorf("follow the hypervisor's log; is another daemon doing that? %w", err)
	}
	h := &hypervisorLog{host: d.host, port: port, file: file,
		bad: nag{log: d.log, text: "cannot write the hypervisor's log"}}
	d.mu.Lock()
	d.xenlog = h
	d.mu.Unlock()
	others.Go(func() { h.run(ctx, d.log) })
	return nil
}

func (h *hypervisorLog) run(ctx context.Context, log *logs.Logger) {
	for h.copy(); ; h.copy() {
		if err := h.port.Wait(ctx); err != nil {
			if ctx.Err() == nil {
				log.Error("the hypervisor's log ends here", logs.Error(err))
			}
			break
		}
		h.bad.hit(h.port.Rearm()) // before the copy: what comes later has an event of its own
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bad.hit(h.file.Close())
	h.bad.hit(h.port.Close())
}

// copy writes what is new.
func (h *hypervisorLog) copy() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		b, next, err := h.host.HypervisorLog(h.next)
		h.bad.hit(err)
		if err != nil || len(b) == 0 {
			return
		}
		h.next = next
		h.bad.hit(h.file.Write(b))
	}
}

func (h *hypervisorLog) reload() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.bad.hit(h.file.Reopen(h.file.path))
}
