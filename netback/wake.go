package netback

// port is an event channel to the frontend, as backends.Channel has it.
type port interface {
	Wait() error
	Unmask() error
	Notify() error
	Close() error
}

// waker turns the events of one channel into kicks of those who wait for them. It
// takes the next event only after one of them has called rearm, so that a guest
// cannot make more work than is done (XSA-332).
type waker struct {
	port  port
	kicks []chan struct{}
	ready chan struct{}

	own   bool // one goroutine has the channel to itself, and calls sleep; nobody calls run
	taken bool // of sleep: an event came that is not dealt with
}

func newWaker(p port) *waker { return &waker{port: p, ready: make(chan struct{}, 1)} }

// listen returns a channel that has an entry when an event came.
func (w *waker) listen() <-chan struct{} {
	c := make(chan struct{}, 1)
	w.kicks = append(w.kicks, c)
	return c
}

// rearm says that the last event is dealt with. It does not block.
func (w *waker) rearm() { post(w.ready) }

// sleep waits for an event, having dealt with the last one. It is for a goroutine that
// waits for nothing else, to which the way over run would be two switches more.
func (w *waker) sleep() error {
	if w.taken {
		if err := w.port.Unmask(); err != nil {
			return err
		}
		w.taken = false
	}
	err := w.port.Wait()
	w.taken = err == nil
	return err
}

// run returns when the channel is closed, or done.
func (w *waker) run(done <-chan struct{}) {
	for w.port.Wait() == nil {
		for _, k := range w.kicks {
			post(k)
		}
		select {
		case <-w.ready:
		case <-done:
			return
		}
		if w.port.Unmask() != nil {
			return
		}
	}
}

func post(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // there is one already
	}
}
