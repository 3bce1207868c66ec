package qcow2

import (
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"syscall"
)

// memFile is a file in memory that remembers what was done to it, to show what a
// crash would leave.
type memFile struct {
	mu     sync.Mutex
	b      []byte
	log    []step // nil: nothing is remembered
	record bool
	limit  int64 // bytes that the file may have, 0: any
	fail   func(op string) error
}

// step is one change of the file. A flush has neither data nor a size.
type step struct {
	off  int64
	data []byte // what was written
	size int64  // what the file was grown to
	zero int64  // how many bytes were zeroed
	hole bool   // by a discard
}

func (s step) isFlush() bool { return s.data == nil && s.size == 0 && s.zero == 0 }

func (m *memFile) try(op string) error {
	if m.fail != nil {
		return m.fail(op)
	}
	return nil
}

func (m *memFile) note(s step) {
	if m.record {
		m.log = append(m.log, s)
	}
}

func (m *memFile) ReadAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if off >= int64(len(m.b)) {
		return 0, io.EOF
	}
	n := copy(p, m.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memFile) WriteAt(p []byte, off int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.try("write"); err != nil {
		return 0, err
	}
	if m.limit != 0 && off+int64(len(p)) > m.limit {
		return 0, syscall.ENOSPC
	}
	if m.record {
		m.note(step{off: off, data: append([]byte{}, p...)})
	}
	m.b = applied(m.b, step{off: off, data: p})
	return len(p), nil
}

func (m *memFile) Flush() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.try("flush"); err != nil {
		return err
	}
	m.note(step{})
	return nil
}

func (m *memFile) Zero(off, n int64) error { return m.clear(step{off: off, zero: n}) }

func (m *memFile) Discard(off, n int64) error { return m.clear(step{off: off, zero: n, hole: true}) }

func (m *memFile) clear(s step) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.try("clear"); err != nil {
		return err
	}
	m.note(s)
	m.b = applied(m.b, s)
	return nil
}

func (m *memFile) Grow(size int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.try("grow"); err != nil {
		return err
	}
	if m.limit != 0 && size > m.limit {
		return syscall.ENOSPC
	}
	m.note(step{size: size})
	m.b = applied(m.b, step{size: size})
	return nil
}

func (m *memFile) Size() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.b))
}

func (m *memFile) Close() error { return nil }

// applied is b after a step.
func applied(b []byte, s step) []byte {
	end := max(s.size, s.off+int64(len(s.data)))
	if end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[s.off:], s.data)
	if s.zero > 0 {
		cleared := b[min(s.off, int64(len(b))):min(s.off+s.zero, int64(len(b)))]
		for i := range cleared {
			cleared[i] = 0
			if s.hole { // nobody may count on what it reads as
				cleared[i] = 0xdd
			}
		}
	}
	return b
}

// prefix is what the death of the process after n steps leaves: all of them.
func prefix(start []byte, log []step, n int) []byte {
	b := append([]byte{}, start...)
	for _, s := range log[:n] {
		b = applied(b, s)
	}
	return b
}

// powerLoss is what a loss of power after n steps may leave: all that came before the
// last flush, and of the rest any part, sector by sector.
func powerLoss(start []byte, log []step, n int, rng *rand.Rand) []byte {
	flushed := 0
	for i, s := range log[:n] {
		if s.isFlush() {
			flushed = i
		}
	}
	b := prefix(start, log, flushed)
	keep := rng.Float64()
	for _, s := range log[flushed:n] {
		if s.data == nil {
			if rng.Float64() < keep {
				b = applied(b, s)
			}
			continue
		}
		for at := 0; at < len(s.data); {
			// To the next boundary of a sector in the file.
			m := min(512-int(s.off+int64(at))%512, len(s.data)-at)
			if rng.Float64() < keep {
				b = applied(b, step{off: s.off + int64(at), data: s.data[at : at+m]})
			}
			at += m
		}
	}
	return b
}

var errBroken = errors.New("the medium is broken")
