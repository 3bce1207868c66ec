package xentest

import (
	"slices"
	"syscall"

	"goxl/xenctrl/abi"
)

// faults are the failures a test asked for, and the calls made so far.
type faults struct {
	calls  []string
	at     int // fail the call with this number, counted from 1; 0: none
	atErr  syscall.Errno
	byName map[string]namedFault
	before func(name string) error
}

type namedFault struct {
	skip, times int
	err         syscall.Errno
}

// FailAt makes the nth hypercall or mapping from now on fail with err. With 0
// nothing fails any more.
func (m *Machine) FailAt(n int, err syscall.Errno) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults.at, m.faults.atErr = 0, err
	if n > 0 {
		m.faults.at = len(m.faults.calls) + n
	}
}

// FailOn makes the hypercall of that name ("domctl/max_mem", "map foreign") fail
// times times, after skip good ones.
func (m *Machine) FailOn(name string, skip, times int, err syscall.Errno) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.faults.byName == nil {
		m.faults.byName = map[string]namedFault{}
	}
	m.faults.byName[name] = namedFault{skip, times, err}
}

// Before has f called before each hypercall and mapping, with its name. An error of
// f, an errno, is the call's. Nil ends that.
func (m *Machine) Before(f func(name string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults.before = f
}

// Calls returns the names of all hypercalls and mappings so far, in order.
func (m *Machine) Calls() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.faults.calls)
}

// admit notes a call and says whether it may be made. m.mu is held, but not while
// the test has its say.
func (m *Machine) admit(name string) error {
	if f := m.faults.before; f != nil {
		m.mu.Unlock()
		err := f(name)
		m.mu.Lock()
		if err != nil {
			return err
		}
	}
	return m.faults.call(name)
}

// call notes a call and says whether it is to fail.
func (f *faults) call(name string) error {
	f.calls = append(f.calls, name)
	if f.at != 0 && len(f.calls) == f.at {
		return f.atErr
	}
	n, ok := f.byName[name]
	switch {
	case !ok:
		return nil
	case n.skip > 0:
		n.skip--
	case n.times > 0:
		n.times--
		f.byName[name] = n
		return n.err
	}
	f.byName[name] = n
	return nil
}

// callName names a hypercall for faults and Calls.
func (m *Machine) callName(op uint64, args [5]uint64) string {
	switch op {
	case abi.OpDomctl, abi.OpSysctl, abi.OpPlatform:
		if b, err := m.at(args[0], 4); err == nil {
			return abi.OpName(op, le.Uint32(b))
		}
	}
	return abi.OpName(op, uint32(args[0]))
}
