//go:build linux

package netback

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"goxl/lab/hostile"
	"goxl/netback/packet"
)

// TestHostileGuest does to a vif in this process what the lab's hostile guest does to
// one on Xen, while the host sends frames to it.
func TestHostileGuest(t *testing.T) {
	h := newHost(t, nil)
	h.add(vif0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			if i := h.ifs.get(vif0); i != nil {
				i.broadcast(ethFrame(60+n*37%1400, byte(n)))
			}
		}
	}()
	var out bytes.Buffer
	hostile.Run(t.Context(), &out, h.Guest(vif0.Dom).Store, hostile.InMemory(h.Guest(vif0.Dom)), "net/")
	close(stop)
	<-stopped
	t.Log(out.String())
	if strings.Contains(out.String(), "BAD") {
		t.Error("some misdeeds were not dealt with")
	}
}

// broadcast sends a frame by each tap whose guest is not far behind.
func (i *fakeIface) broadcast(f []byte) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, t := range i.taps {
		t.mu.Lock()
		behind := len(t.toGuest)
		t.mu.Unlock()
		if behind < 100 {
			t.send(packet.VNet{}, f)
		}
	}
}
