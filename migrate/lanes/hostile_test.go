package lanes

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// said is a connection on which the other side says something and then no more.
type said struct {
	net.Conn // nil
	r        io.Reader
	w        bytes.Buffer
}

func (s *said) Read(b []byte) (int, error)       { return s.r.Read(b) }
func (s *said) Write(b []byte) (int, error)      { return s.w.Write(b) }
func (s *said) Close() error                     { return nil }
func (s *said) SetDeadline(time.Time) error      { return nil }
func (s *said) SetReadDeadline(time.Time) error  { return nil }
func (s *said) SetWriteDeadline(time.Time) error { return nil }

// frames is what a sender says on a lane of one, after its hello.
func frames(t testing.TB, m []byte) []byte {
	var rec bytes.Buffer
	b := newBoth(t, 1, &network{tap: &rec})
	if _, sent, received := b.carry(m); sent != nil || received != nil {
		t.Fatal(sent, received)
	}
	return rec.Bytes()[bytes.LastIndex(rec.Bytes(), []byte(magic))+helloSize:]
}

func aHello() []byte { return hello{[TokenSize]byte{1}, 0, 1}.append(nil) }

func TestStrangers(t *testing.T) {
	r := NewReceiver(Options{Token: [TokenSize]byte{1}}, 2)
	defer r.Close()
	for name, b := range map[string][]byte{
		"nothing":           nil,
		"half a hello":      aHello()[:20],
		"a web browser":     []byte("GET / HTTP/1.1\r\nHost: somewhere.example.org\r\n\r\n"),
		"another migration": hello{[TokenSize]byte{2}, 0, 2}.append(nil),
		"a lane too many":   hello{[TokenSize]byte{1}, 2, 3}.append(nil),
		"lane 7 of 2":       hello{[TokenSize]byte{1}, 7, 2}.append(nil),
	} {
		c := &said{r: bytes.NewReader(b)}
		if err := r.Attach(c); err == nil || c.w.Len() > 0 {
			t.Errorf("%s: error %v, and it was told %q", name, err, c.w.Bytes())
		}
	}
	if r.err != nil {
		t.Errorf("strangers end the stream: %v", r.err)
	}
}

// Every byte that the other side has wrong is an error, or changes nothing.
func TestFlippedFrames(t *testing.T) {
	m := memory(3, 1)
	good := frames(t, m)
	for i := range good {
		if i > headerSize && i%11 != 0 && i < len(good)-headerSize-8 {
			continue // contents have a checksum of their own
		}
		b := bytes.Clone(good)
		b[i] ^= 0x10
		r := NewReceiver(Options{Token: [TokenSize]byte{1}, Patience: time.Millisecond}, 1)
		err := r.Attach(&said{r: io.MultiReader(bytes.NewReader(aHello()), bytes.NewReader(b))})
		got, read := io.ReadAll(r)
		r.Close()
		if read == nil && !bytes.Equal(got, m) {
			t.Errorf("byte %d: something else came, without an error", i)
		}
		if read != nil && !errors.Is(read, ErrPeer) && !errors.Is(read, ErrLost) {
			t.Errorf("byte %d: %v, %v", i, err, read)
		}
	}
}

func FuzzAttach(f *testing.F) {
	good := frames(f, memory(3, 1))
	f.Add(good)
	f.Add(good[:len(good)-20])
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReceiver(Options{Token: [TokenSize]byte{1}, Patience: time.Millisecond}, 1)
		go r.Attach(&said{r: io.MultiReader(bytes.NewReader(aHello()), bytes.NewReader(b))})
		io.Copy(io.Discard, r)
		r.Close()
	})
}

// A receiver that has what was never sent, or is none, ends the stream.
func TestHostileReceiver(t *testing.T) {
	for name, says := range map[string][]byte{
		"no welcome":                    []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
		"it has frames from the start":  appendWelcome(nil, 1),
		"it has more than can be":       appendWelcome(nil, 1<<63),
		"it has what was not sent yet":  append(appendWelcome(nil, 0), 7, 0, 0, 0, 0, 0, 0, 0),
		"it has less than it had":       append(appendWelcome(nil, 0), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"it has one, and then none":     append(appendWelcome(nil, 0), 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		"it has one, and then very few": append(appendWelcome(nil, 0), 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				go io.Copy(io.Discard, there)
				var tasks sync.WaitGroup
				tasks.Go(func() { // with time for a frame to go in between
					n := min(len(says), welcomeSize)
					there.Write(says[:n])
					for rest := says[n:]; len(rest) > 0; {
						time.Sleep(time.Second)
						k, _ := there.Write(rest[:min(8, len(rest))])
						if rest = rest[k:]; k == 0 {
							return
						}
					}
				})
				s := NewSender(t.Context(), Options{}, func(context.Context) (net.Conn, error) { return nil, errDown }, []net.Conn{here})
				s.Write(memory(3, 1))
				if err := s.Close(); !errors.Is(err, ErrPeer) {
					t.Errorf("error %v", err)
				}
				there.Close()
				tasks.Wait()
			})
		})
	}
}
