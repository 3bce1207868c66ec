package devices_test

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"goxl/lab/dom0"
)

const hostIP = "10.77.0.1"

// peer is the host's end of the guest's connections.
type peer struct {
	echo, long net.Listener
	stop       chan struct{}
	sum        chan string // of all that was sent over the long connection
	wg         sync.WaitGroup
}

func startPeer(t *testing.T) *peer {
	t.Helper()
	listen := func() net.Listener {
		l, err := net.Listen("tcp", hostIP+":0")
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	p := &peer{echo: listen(), long: listen(), stop: make(chan struct{}), sum: make(chan string, 1)}
	p.wg.Go(p.echoes)
	p.wg.Go(p.send)
	t.Cleanup(func() {
		p.echo.Close()
		p.long.Close()
		p.finish()
		p.wg.Wait()
	})
	return p
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// echoes sends back what it gets, one connection at a time.
func (p *peer) echoes() {
	for {
		c, err := p.echo.Accept()
		if err != nil {
			return
		}
		_ = c.SetDeadline(time.Now().Add(dom0.Patience))
		_, _ = io.Copy(c, c) // what is lost, the guest notices
		c.Close()
	}
}

// send sends a little random data all the time, over one connection.
func (p *peer) send() {
	c, err := p.long.Accept()
	if err != nil {
		p.sum <- err.Error()
		return
	}
	defer c.Close()
	h := sha256.New()
	noise := rand.NewChaCha8([32]byte{1})
	b := make([]byte, 2048)
	for {
		select {
		case <-p.stop:
			p.sum <- fmt.Sprintf("%x", h.Sum(nil))
			return
		case <-time.After(100 * time.Millisecond):
		}
		_, _ = noise.Read(b)
		_ = c.SetDeadline(time.Now().Add(dom0.Patience))
		if _, err := c.Write(b); err != nil {
			p.sum <- err.Error()
			return
		}
		h.Write(b)
	}
}

// finish ends the long connection.
func (p *peer) finish() {
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
}
