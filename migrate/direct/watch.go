package direct

import (
	"fmt"
	"io"
)

// watched is a channel on which the other side has nothing to say while the guest goes
// directly, so that its end means that the other side is gone. One byte is read ahead for
// that, which whoever reads next gets.
type watched struct {
	io.ReadWriter
	done  chan struct{}
	first [1]byte
	n     int   // bytes of it that nobody has got yet
	err   error // instead of it
}

// watch begins to look. Lost is called when the channel ends before anything is said.
// The look ends with the channel, which belongs to somebody else, or with a byte.
func watch(channel io.ReadWriter, lost func(error)) *watched {
	w := &watched{ReadWriter: channel, done: make(chan struct{})}
	go func() {
		w.n, w.err = io.ReadFull(channel, w.first[:])
		close(w.done)
		if w.err != nil {
			lost(fmt.Errorf("the other side has hung up: %w", w.err))
		}
	}()
	return w
}

// Read implements io.Reader. It is for one goroutine.
func (w *watched) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	<-w.done
	if w.n > 0 {
		w.n = 0
		b[0] = w.first[0]
		return 1, nil
	}
	if w.err != nil {
		return 0, w.err
	}
	return w.ReadWriter.Read(b)
}
