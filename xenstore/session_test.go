package xenstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"goxl/xenstore/wire"
)

// fakeDevice behaves as Linux's /dev/xen/xenbus: a write leaves its packet in the
// one buffer of the open file, and a thread sends what is there a little later.
type fakeDevice struct {
	mu     sync.Mutex
	buffer []byte
	closed bool
	work   chan struct{}
	*io.PipeReader
	replies *io.PipeWriter
}

func newFakeDevice() *fakeDevice {
	d := &fakeDevice{work: make(chan struct{}, 1000)}
	d.PipeReader, d.replies = io.Pipe()
	go func() {
		for range d.work {
			time.Sleep(100 * time.Microsecond)
			d.mu.Lock()
			p, _, _ := wire.ParsePacket(d.buffer)
			reply, _ := wire.AppendPacket(nil, wire.Packet{Op: p.Op, ReqID: p.ReqID, Payload: p.Payload})
			d.mu.Unlock()
			d.replies.Write(reply)
		}
		d.replies.Close()
	}()
	return d
}

func (d *fakeDevice) Write(b []byte) (int, error) {
	if _, rest, err := wire.ParsePacket(b); err != nil || len(rest) > 0 {
		return 0, fmt.Errorf("not one packet: %d more bytes, %v", len(rest), err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, os.ErrClosed
	}
	d.buffer = append(d.buffer[:0], b...)
	d.work <- struct{}{}
	return len(b), nil
}

func (d *fakeDevice) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	close(d.work)
	return d.PipeReader.Close()
}

func TestDeviceTakesOneRequestAtATime(t *testing.T) {
	s := newSession(newFakeDevice(), true, nil, func(*session) {})
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			if i%5 == 0 {
				time.AfterFunc(time.Millisecond, cancel) // an abandoned one still occupies the device
			}
			defer cancel()
			r := &request{op: wire.OpRead, path: fmt.Sprint(i)}
			b, err := s.roundTrip(ctx, r, nil)
			if want := fmt.Sprint(i) + "\x00"; string(b) != want && !errors.Is(err, context.Canceled) {
				t.Errorf("reply %q, %v, want %q", b, err, want)
			}
		})
	}
	wg.Wait()
	s.close(ErrClosed)
}

func TestDeviceHasLessRoom(t *testing.T) {
	s := newSession(newFakeDevice(), true, nil, func(*session) {})
	defer s.close(ErrClosed)
	r := &request{op: wire.OpWrite, path: "/a", body: string(make([]byte, wire.MaxPayload-wire.HeaderSize-2))}
	if _, err := s.roundTrip(t.Context(), r, nil); err == nil {
		t.Error("a packet that exceeds the kernel's buffer was sent")
	}
}

// A store that answers what was not asked, or too much, ends the session.
func TestHostileReplies(t *testing.T) {
	for name, packet := range map[string][]byte{
		"unknown request": wire.AppendHeader(nil, wire.Header{Op: wire.OpRead, ReqID: 99}),
		"other operation": wire.AppendHeader(nil, wire.Header{Op: wire.OpWrite, ReqID: 1}),
		"far too long":    wire.AppendHeader(nil, wire.Header{Op: wire.OpRead, ReqID: 1, Len: 1 << 31}),
		"event, no token": append(wire.AppendHeader(nil, wire.Header{Op: wire.OpWatchEvent, Len: 2}), "/a"...),
	} {
		t.Run(name, func(t *testing.T) {
			r, w := io.Pipe()
			s := newSession(struct {
				io.Reader
				io.WriteCloser
			}{r, nopCloser{io.Discard, r}}, false, func(string, string) {}, func(*session) {})
			go func() { time.Sleep(time.Millisecond); w.Write(packet) }()
			if _, err := s.roundTrip(t.Context(), &request{op: wire.OpRead, path: "/"}, nil); !errors.Is(err, ErrProtocol) {
				t.Errorf("%v, want ErrProtocol", err)
			}
			s.close(ErrClosed)
		})
	}
}

type nopCloser struct {
	io.Writer
	r *io.PipeReader
}

func (n nopCloser) Close() error { return n.r.Close() }

func FuzzReplies(f *testing.F) {
	b, _ := wire.AppendPacket(nil, wire.Packet{Op: wire.OpRead, ReqID: 1, Payload: []byte("v")})
	f.Add(b)
	f.Add(wire.AppendHeader(nil, wire.Header{Op: wire.OpError, ReqID: 1, Len: 4096}))
	f.Add(append(wire.AppendHeader(nil, wire.Header{Op: wire.OpWatchEvent, Len: 4}), "a\x00b\x00"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, w := io.Pipe()
		s := newSession(struct {
			io.Reader
			io.WriteCloser
		}{r, nopCloser{io.Discard, r}}, false, func(string, string) {}, func(*session) {})
		go func() { w.Write(b); w.Close() }()
		s.roundTrip(t.Context(), &request{op: wire.OpRead, path: "/"}, nil)
		s.close(ErrClosed)
	})
}
