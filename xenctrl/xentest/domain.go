package xentest

import (
	"syscall"
	"time"

	"goxl/xenctrl/abi"
)

// domain is what the machine knows about one domain.
type domain struct {
	id      abi.DomID
	created createArgs
	hvm     bool
	handle  abi.UUID
	bits    uint32 // 32 or 64, of a PV domain

	pauses   int
	started  bool // was unpaused once
	cpuTime  time.Duration
	dying    bool
	shutdown bool
	reason   uint8

	maxPages uint64
	pages    map[uint64]bool   // machine frames it owns
	p2m      map[uint64]uint64 // of an HVM domain: gfn to machine frame
	tables   map[uint64]int    // of a PV domain: frames that are page tables, with their level
	pinned   map[uint64]int
	shared   uint64 // machine frame of shared_info
	claim    uint64
	poolSize uint64          // paging pool, bytes
	dirty    map[uint64]bool // pfns that the guest wrote; nil: Xen does not note them
	e820     []abi.E820Entry

	vcpus         []vcpu
	params        map[uint32]uint64
	context       map[recordKey][]byte // hvm context
	policy        *policy
	tsc           [24]byte
	offset        int64
	cpuPool       uint32
	sched         [12]byte
	nodes         []byte
	hypercallPage uint64

	ports                []port
	maxPorts             uint32
	grants               []uint64 // machine frames of the grant table
	maxGrantFrames       uint32
	irqs, ioports, iomem map[uint64]bool
}

type vcpu struct {
	up         bool
	context    []byte
	ext, xsave []byte            // of a PV one, as they were set
	msrs       map[uint32]uint64 // of a PV one
	hard, soft abi.Bitmap
}

type cpuPool struct {
	sched uint32
	cpus  abi.Bitmap
}

// owns reports whether a PV domain may have frame f mapped or in its tables.
func (d *domain) owns(f uint64) bool {
	if d.pages[f] || f == d.shared {
		return true
	}
	for _, g := range d.grants {
		if g == f {
			return true
		}
	}
	return false
}

// addDom0 makes the domain that the test itself plays.
func (m *Machine) addDom0() {
	d := m.newDomain(0, createArgs{maxVCPUs: uint32(m.cfg.CPUs), maxPort: -1, maxGrantFrames: 64})
	d.pauses, d.started, d.cpuTime, d.maxPages = 0, true, time.Second, uint64(m.cfg.Memory.Pages())
	d.vcpus = m.newVCPUs(m.cfg.CPUs)
	for i := range d.vcpus {
		d.vcpus[i].up = true
	}
	for range 1024 {
		f, _ := m.ram.get(0)
		d.pages[f] = true
	}
}

// newDomain adds a domain.
func (m *Machine) newDomain(id abi.DomID, c createArgs) *domain {
	d := &domain{
		id: id, created: c, hvm: c.flags&abi.CreateHVM != 0, handle: c.handle, bits: 64, pauses: 1,
		pages: map[uint64]bool{}, p2m: map[uint64]uint64{}, tables: map[uint64]int{}, pinned: map[uint64]int{},
		params: map[uint32]uint64{}, context: map[recordKey][]byte{}, ports: make([]port, 1),
		irqs: map[uint64]bool{}, ioports: map[uint64]bool{}, iomem: map[uint64]bool{},
		cpuPool: c.pool, nodes: []byte{1}, maxGrantFrames: 64,
	}
	le.PutUint16(d.sched[:], 256)
	if c.maxGrantFrames >= 0 {
		d.maxGrantFrames = uint32(c.maxGrantFrames)
	}
	d.maxPorts = 4096
	if c.maxPort >= 0 {
		d.maxPorts = uint32(c.maxPort) + 1
	}
	d.shared, _ = m.ram.get(0)
	d.policy = m.defaultPolicy()
	m.domains[id] = d
	return d
}

func (m *Machine) newVCPUs(n int) []vcpu {
	v := make([]vcpu, n)
	for i := range v {
		v[i] = vcpu{hard: abi.FullBitmap(m.cfg.CPUs), soft: abi.FullBitmap(m.cfg.CPUs)}
	}
	return v
}

// info encodes a domain as release v lays it out.
func (m *Machine) info(d *domain) []byte {
	v := m.cfg.Version
	b := make([]byte, infoSize(v))
	var flags uint32
	set := func(on bool, bit uint32) {
		if on {
			flags |= bit
		}
	}
	set(d.dying, 1<<0)
	set(d.hvm, 1<<1)
	set(d.shutdown, 1<<2)
	set(d.pauses > 0, 1<<3)
	set(d.pauses == 0 && d.id != 0, 1<<4)
	set(d.id == 0, 1<<5)
	set(d.created.flags&abi.CreateXenstore != 0, 1<<7)
	set(d.created.flags&abi.CreateHAP != 0, 1<<8)
	if d.shutdown {
		flags |= uint32(d.reason) << 16
	}
	online := uint32(0)
	for _, c := range d.vcpus {
		if c.up {
			online++
		}
	}
	sharedFrame := d.shared
	if d.hvm {
		sharedFrame = abi.InvalidFrame
	}
	le.PutUint16(b[0:], uint16(d.id))
	le.PutUint32(b[4:], flags)
	le.PutUint64(b[8:], uint64(len(d.pages)))
	le.PutUint64(b[16:], d.maxPages)
	le.PutUint64(b[24:], d.claim)
	le.PutUint64(b[48:], sharedFrame)
	le.PutUint64(b[56:], uint64(d.cpuTime))
	le.PutUint32(b[64:], online)
	le.PutUint32(b[68:], uint32(len(d.vcpus))-1)
	copy(b[76:], d.handle[:])
	le.PutUint32(b[92:], d.cpuPool)
	switch {
	case v.Domctl >= 0x14:
		b[96] = 39
		le.PutUint32(b[104:], d.created.emulation)
		le.PutUint32(b[108:], d.created.misc)
	case v.Domctl >= 0x13:
		le.PutUint32(b[96:], d.created.emulation)
		le.PutUint32(b[100:], d.created.misc)
	default:
		le.PutUint32(b[96:], d.created.emulation)
	}
	return b
}

func infoSize(v abi.Version) int {
	if v.AtLeast(4, 16) {
		return 112
	}
	return 104
}

// freePages returns how many pages an allocation for d may take.
func (m *Machine) freePages(d *domain) uint64 {
	free := m.ram.count()
	for _, o := range m.domains {
		if o != d {
			if o.claim > free {
				return 0
			}
			free -= o.claim
		}
	}
	return free
}

// allocate gives d an extent and returns its first frame.
func (m *Machine) allocate(d *domain, order uint) (uint64, error) {
	n := uint64(1) << order
	if uint64(len(d.pages))+n > d.maxPages || m.freePages(d) < n {
		return 0, syscall.ENOMEM
	}
	f, err := m.ram.get(order)
	if err != nil {
		return 0, err
	}
	for i := range n {
		d.pages[f+i] = true
	}
	d.claim -= min(d.claim, n)
	return f, nil
}

// release takes a page from d.
func (m *Machine) release(d *domain, frame uint64) {
	delete(d.pages, frame)
	m.ram.setM2P(frame, abi.InvalidFrame)
	m.ram.wipe([]uint64{frame})
	m.ram.put([]uint64{frame})
}

// kill starts the end of a domain.
func (m *Machine) kill(d *domain) {
	d.dying, d.claim = true, 0
	for i := range d.ports {
		m.closePort(d, abi.Port(i))
	}
	m.reap(d)
}

// reap frees a dying domain when nobody maps its memory any more.
func (m *Machine) reap(d *domain) {
	for _, mp := range m.mappings {
		if mp.dom == d.id {
			return
		}
	}
	frames := []uint64{d.shared}
	for f := range d.pages {
		frames = append(frames, f)
	}
	frames = append(frames, d.grants...)
	for _, f := range frames {
		m.ram.setM2P(f, abi.InvalidFrame)
	}
	m.ram.put(frames) // sorts, so that runs are wiped at once
	m.ram.wipe(frames)
	delete(m.domains, d.id)
}
