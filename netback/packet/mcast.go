package packet

import (
	"slices"
	"sync"
	"sync/atomic"
)

// mcastMax is how many addresses a guest may ask for; the kernel's backend has the
// same limit.
const mcastMax = 64

// Multicast is a guest's choice of multicast addresses. The zero value lets
// everything through. Its methods may be called from several goroutines; Wants
// takes no lock and allocates nothing.
type Multicast struct {
	on   atomic.Bool
	mu   sync.Mutex // of writers
	list atomic.Pointer[[][6]byte]
}

// Filter says whether the choice counts.
func (m *Multicast) Filter(on bool) { m.on.Store(on) }

// Add adds an address and reports whether there was room.
func (m *Multicast) Add(a [6]byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	have := m.addrs()
	if slices.Contains(have, a) {
		return true
	}
	if len(have) >= mcastMax {
		return false
	}
	list := append(slices.Clone(have), a)
	m.list.Store(&list)
	return true
}

// Del takes an address away, if it is there.
func (m *Multicast) Del(a [6]byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := slices.DeleteFunc(slices.Clone(m.addrs()), func(b [6]byte) bool { return a == b })
	m.list.Store(&list)
}

// Wants reports whether the guest wants frame f: one for a single station or for
// all of them always, one for a group if it asked for it.
func (m *Multicast) Wants(f []byte) bool {
	if !m.on.Load() || len(f) < ethHeader || f[0]&1 == 0 {
		return true
	}
	a := [6]byte(f)
	return a == [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} || slices.Contains(m.addrs(), a)
}

func (m *Multicast) addrs() [][6]byte {
	if l := m.list.Load(); l != nil {
		return *l
	}
	return nil
}
