package qcow2

import "sync"

// flusher shares flushes: everybody who asks while one is under way gets the next.
type flusher struct {
	flush func() error
	one   sync.Mutex // held during a flush

	mu   sync.Mutex
	next *flushing // not begun yet
}

type flushing struct {
	done chan struct{}
	err  error
}

// run returns after a flush that began after run was called.
func (f *flusher) run() error {
	f.mu.Lock()
	if b := f.next; b != nil {
		f.mu.Unlock()
		<-b.done
		return b.err
	}
	b := &flushing{done: make(chan struct{})}
	f.next = b
	f.mu.Unlock()

	f.one.Lock()
	defer f.one.Unlock()
	f.mu.Lock()
	f.next = nil
	f.mu.Unlock()
	b.err = f.flush()
	close(b.done)
	return b.err
}
