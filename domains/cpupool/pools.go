package cpupool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
	"goxl/xenstore"
)

// Errors that callers act on.
var (
	ErrNotFound = errors.New("no such cpupool")
	ErrExists   = errors.New("a cpupool has that name already")
	ErrInUse    = errors.New("domains are in it")
)

// Pool is a CPU pool at the moment at which it was asked for.
type Pool struct {
	ID      uint32
	Name    string
	Sched   uint32 // abi.SchedCredit2, …
	Domains int
	CPUs    []int // ascending
}

// Pools is the way to the host's pools. Its methods are safe for concurrent use.
type Pools struct {
	xen   *xenctrl.Handle
	store *xenstore.Client
}

// New returns the pools of the host that xen and store belong to, which stay the
// caller's.
func New(xen *xenctrl.Handle, store *xenstore.Client) *Pools { return &Pools{xen, store} }

// List returns the pools in the order of their ids. One without a name, which is
// one that somebody is making or taking down, is left out.
func (p *Pools) List(ctx context.Context) ([]Pool, error) {
	raw, err := p.xen.CPUPools()
	if err != nil {
		return nil, err
	}
	var b xenstore.Batch
	replies := make([]*xenstore.Reply, len(raw))
	for i := range raw {
		replies[i] = b.Read(dir(raw[i].ID) + "/name")
	}
	if err := p.store.Send(ctx, &b); err != nil && !errors.Is(err, xenstore.ErrNotFound) {
		return nil, err
	}
	var list []Pool
	for i, r := range raw {
		name, err := replies[i].Value()
		switch {
		case errors.Is(err, xenstore.ErrNotFound) && r.ID == 0: // libxl's rule: the first pool needs no note
			list = append(list, Pool{r.ID, "Pool-0", r.Sched, int(r.Domains), r.CPUs.Slice()})
		case errors.Is(err, xenstore.ErrNotFound):
		case err != nil:
			return nil, err
		default:
			list = append(list, Pool{r.ID, name, r.Sched, int(r.Domains), r.CPUs.Slice()})
		}
	}
	return list, nil
}

// ByName returns the pool with exactly that name, or ErrNotFound.
func (p *Pools) ByName(ctx context.Context, name string) (Pool, error) {
	list, err := p.List(ctx)
	if err != nil {
		return Pool{}, err
	}
	for _, pool := range list {
		if pool.Name == name {
			return pool, nil
		}
	}
	return Pool{}, fmt.Errorf("find cpupool %q: %w", name, ErrNotFound)
}

// Find returns the pool that a user calls so: digits are its id, anything else
// its name.
func (p *Pools) Find(ctx context.Context, nameOrID string) (Pool, error) {
	id, err := strconv.ParseUint(nameOrID, 10, 32)
	if err != nil {
		return p.ByName(ctx, nameOrID)
	}
	list, err := p.List(ctx)
	if err != nil {
		return Pool{}, err
	}
	i := slices.IndexFunc(list, func(pool Pool) bool { return pool.ID == uint32(id) })
	if i < 0 {
		return Pool{}, fmt.Errorf("find cpupool %d: %w", id, ErrNotFound)
	}
	return list[i], nil
}

// Spec describes a pool to make.
type Spec struct {
	Name  string
	Sched uint32 // abi.SchedCredit2, …
	CPUs  []int  // which must be free
	UUID  abi.UUID
}

// Create makes a pool and returns its id. When a CPU cannot be had, the pool is
// taken down again.
func (p *Pools) Create(ctx context.Context, s Spec) (uint32, error) {
	op := fmt.Sprintf("create cpupool %q", s.Name)
	id, err := p.xen.CreateCPUPool(s.Sched)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", op, err)
	}
	err = p.AddCPUs(ctx, id, s.CPUs)
	if err == nil {
		err = p.store.Update(ctx, func(tx *xenstore.Tx) error {
			var b xenstore.Batch
			b.Mkdir(dir(id))
			b.Write(dir(id)+"/uuid", s.UUID.String())
			b.Write(dir(id)+"/name", s.Name)
			return tx.Send(ctx, &b)
		})
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", op, errors.Join(err, p.takeDown(id)))
	}
	return id, nil
}

// Destroy frees the CPUs of a pool and removes it. ErrInUse: domains are in it.
func (p *Pools) Destroy(ctx context.Context, id uint32) error {
	pool, err := p.xen.CPUPoolFrom(id)
	switch {
	case err != nil:
		return err
	case pool.ID != id:
		return fmt.Errorf("destroy cpupool %d: %w", id, ErrNotFound)
	case pool.Domains > 0:
		return fmt.Errorf("destroy cpupool %d: %w: %d (move them with xl cpupool-migrate)", id, ErrInUse, pool.Domains)
	}
	if err := p.takeDown(id); err != nil {
		return err
	}
	if err := p.store.Rm(ctx, dir(id)); err != nil && !errors.Is(err, xenstore.ErrNotFound) {
		return err
	}
	return nil
}

// takeDown removes what Xen knows of a pool.
func (p *Pools) takeDown(id uint32) error {
	pool, err := p.xen.CPUPoolFrom(id)
	if err != nil {
		return err
	}
	for _, cpu := range pool.CPUs.Slice() {
		if err := p.xen.RemoveCPU(id, uint32(cpu)); err != nil {
			return err
		}
	}
	return p.xen.DestroyCPUPool(id)
}

// Rename gives a pool another name. As in libxl two pools may end up with one
// name; callers check that first if they mind.
func (p *Pools) Rename(ctx context.Context, id uint32, name string) error {
	return p.store.Write(ctx, dir(id)+"/name", name)
}

// AddCPUs puts free CPUs into a pool. It tries all of them, and returns what went
// wrong with some.
func (p *Pools) AddCPUs(ctx context.Context, id uint32, cpus []int) error {
	return each(ctx, cpus, func(cpu uint32) error { return p.xen.AddCPU(id, cpu) })
}

// RemoveCPUs takes CPUs out of a pool; they are free then. It tries all of them.
func (p *Pools) RemoveCPUs(ctx context.Context, id uint32, cpus []int) error {
	return each(ctx, cpus, func(cpu uint32) error { return p.xen.RemoveCPU(id, cpu) })
}

func each(ctx context.Context, cpus []int, do func(uint32) error) error {
	var errs []error
	for _, cpu := range cpus {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		if err := do(uint32(cpu)); err != nil {
			errs = append(errs, fmt.Errorf("cpu %d: %w", cpu, err))
		}
	}
	return errors.Join(errs...)
}

// Move has a domain run in a pool.
func (p *Pools) Move(_ context.Context, dom abi.DomID, id uint32) error {
	return p.xen.MoveDomainToCPUPool(dom, id)
}

// Free returns the CPUs that are in no pool.
func (p *Pools) Free(context.Context) ([]int, error) {
	m, err := p.xen.FreeCPUs()
	return m.Slice(), err
}

// dir is where a pool's name is kept.
func dir(id uint32) string { return fmt.Sprintf("/local/pool/%d", id) }
