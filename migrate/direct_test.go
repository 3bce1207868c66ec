package migrate

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"goxl/domains/config"
	"goxl/migrate/direct"
)

// proxy is a way to a receiver that can be cut.
type proxy struct {
	net.Listener
	to string

	mu    sync.Mutex
	after int  // bytes of a connection until it is cut; 0: never
	times int  // how many connections are cut
	shut  bool // no connection is let through
	conns []net.Conn
	cuts  int
}

func newProxy(t testing.TB, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l, to: to}
	go p.serve()
	t.Cleanup(func() { l.Close(); p.unplug() })
	return p
}

func (p *proxy) serve() {
	for {
		c, err := p.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		shut, after := p.shut, 0
		if p.times > 0 {
			p.times--
			after = p.after
		}
		p.conns = append(p.conns, c)
		p.mu.Unlock()
		d, err := net.Dial("tcp", p.to)
		if err != nil || shut {
			c.Close()
			continue
		}
		from, to := struct{ io.Reader }{c}, struct{ io.Writer }{d} // else splice keeps pipes for later
		go func() { io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{d}); c.Close(); d.Close() }()
		go func() {
			if after > 0 {
				io.CopyN(to, from, int64(after))
				p.mu.Lock()
				p.cuts++
				p.mu.Unlock()
			} else {
				io.Copy(to, from)
			}
			c.Close()
			d.Close()
		}()
	}
}

// unplug cuts all connections and lets no more through.
func (p *proxy) unplug() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = true
	for _, c := range p.conns {
		c.Close()
	}
}

// freePort is where nobody listens.
func freePort(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// directly prepares a migration over so many connections, by way of a proxy.
func (p *pair) directly(t testing.TB, streams int) *proxy {
	at := freePort(t)
	way := newProxy(t, at)
	p.send.Direct = &direct.Options{Streams: streams, Via: way.Addr().String(), Reach: time.Minute}
	p.receive.Direct = direct.Options{Listen: at}
	return way
}

// A guest that writes all the time is the same on the other side.
func TestDirect(t *testing.T) {
	for _, kind := range kinds {
		for _, streams := range []int{1, 3} {
			t.Run(fmt.Sprintf("%v, %d streams", kind, streams), func(t *testing.T) {
				p := &pair{src: newWorld(t), dst: newWorld(t)}
				p.id = p.src.boot(kind, bootOptions{})
				p.directly(t, streams)
				rounds := 0
				p.send.Timeline = new(Timeline)
				p.send.Live = &Live{FewPages: 1}
				p.send.Progress = p.src.busy(p.id, &rounds)
				var want dump
				p.suspended(func() { want = p.src.dump(p.id, false) })
				outcome, err := p.migrate(t, migration{})
				if outcome != Moved || err != nil || rounds != 5 || p.send.Timeline.Streams != streams {
					t.Fatalf("outcome %d, %v, %d rounds, timeline %+v", outcome, err, rounds, p.send.Timeline)
				}
				p.dst.same(want, p.dst.dump(p.dst.running()[0], true))
			})
		}
	}
}

// suspended has f called when the sender has all of the guest on the other side.
func (p *pair) suspended(f func()) {
	p.said = func(text string) {
		if strings.Contains(text, "Target has acknowledged") {
			f()
		}
	}
}

// Wherever a data connection is cut once or twice, the guest moves.
func TestDirectCut(t *testing.T) {
	cuts := 0
	for after := 1; ; after += 250_000 {
		p := &pair{src: newWorld(t), dst: newWorld(t)}
		p.id = p.src.boot(config.TypePVH, bootOptions{})
		way := p.directly(t, 2)
		way.after, way.times = after+4000, 3 // what makes sure who is there is in the beginning
		p.send.Timeline = new(Timeline)
		p.send.Live = new(Live)
		want := p.src.dump(p.id, false)
		outcome, err := p.migrate(t, migration{})
		if outcome != Moved || err != nil {
			t.Fatalf("cut after %d bytes: outcome %d, %v", after, outcome, err)
		}
		p.dst.same(want, p.dst.dump(p.dst.running()[0], true))
		way.mu.Lock()
		n := way.cuts
		way.mu.Unlock()
		if n == 0 || p.send.Timeline.Reconnects == 0 {
			break
		}
		cuts++
	}
	if cuts < 3 {
		t.Errorf("only %d places", cuts)
	}
	t.Logf("%d places", cuts)
}

// When the data connections are lost for good the guest runs on here, and after the
// permission to start it does not matter any more.
func TestDirectLost(t *testing.T) {
	for _, tt := range []struct {
		name string
		at   string // what the sender says; "": in the first round
		want ending
	}{
		{"in the first round", "", stays},
		{"when all is there", "Target has acknowledged", moves},
		{"with the permission", "Giving target permission", moves},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &pair{src: newWorld(t), dst: newWorld(t)}
			p.id = p.src.boot(config.TypePVH, bootOptions{})
			way := p.directly(t, 2)
			p.send.Direct.Patience, p.receive.Direct.Patience = 2*time.Second, 2*time.Second
			p.send.Live = new(Live)
			if tt.at == "" {
				p.send.Progress = func(Progress) { way.unplug() }
			}
			p.said = func(text string) {
				if tt.at != "" && strings.Contains(text, tt.at) {
					way.unplug()
				}
			}
			outcome, err := p.migrate(t, migration{})
			here, there := p.src.state(p.id), "nothing"
			for _, id := range p.dst.xen.IDs() {
				there = p.dst.state(id)
			}
			if outcome != tt.want.outcomes[0] || here != tt.want.here || there != tt.want.there {
				t.Errorf("outcome %d, here %s, there %s: %v", outcome, here, there, err)
			}
			if outcome == StayedHere {
				p.src.runs(p.id)
				p.dst.nothing()
			}
		})
	}
}

// A port that cannot be reached has the guest go over the channel, and is told of.
func TestDirectClosed(t *testing.T) {
	for name, change := range map[string]func(p *pair){
		"refused":              func(p *pair) { p.send.Direct.Via = freePort(t) },
		"nobody answers":       func(p *pair) { p.send.Direct.Via, p.send.Direct.Reach = "192.0.2.1:9", 100*time.Millisecond },
		"receiver cannot":      func(p *pair) { p.receive.Direct.Listen = "192.0.2.1:0" },
		"the address is wrong": func(p *pair) { p.send.Direct.Via = "300.0.0.1:x" },
	} {
		t.Run(name, func(t *testing.T) {
			p := &pair{src: newWorld(t), dst: newWorld(t)}
			p.id = p.src.boot(config.TypePV, bootOptions{})
			p.directly(t, 2)
			change(p)
			p.send.Timeline = new(Timeline)
			told := ""
			p.said = func(text string) { told += text + "\n" }
			want := p.src.dump(p.id, false)
			outcome, err := p.migrate(t, migration{})
			if outcome != Moved || err != nil || p.send.Timeline.Streams != 0 || !strings.Contains(told, "The direct way is closed") {
				t.Fatalf("outcome %d, %v, told %s", outcome, err, told)
			}
			p.dst.same(want, p.dst.dump(p.dst.running()[0], true))
		})
	}
}

// Whatever happens to the messages that come before, the guest runs on here.
func TestDirectMessages(t *testing.T) {
	choice := message{"choice", func(b []byte) bool { return strings.Contains(string(b), `{"direct"`) }}
	for _, msg := range []struct {
		message
		got bool
	}{{says("invitation", direct.Name), false}, {says("answer", direct.Name), true}, {choice, false}} {
		for _, h := range ways {
			t.Run(msg.name+" is "+h.name, func(t *testing.T) {
				p := &pair{src: newWorld(t), dst: newWorld(t)}
				p.id = p.src.boot(config.TypePV, bootOptions{})
				p.directly(t, 2)
				p.send.Direct.Patience, p.receive.Direct.Patience = 2*time.Second, 2*time.Second
				m := migration{how: h, sent: msg.message}
				if msg.got {
					m.sent, m.got = message{}, msg.message
				}
				outcome, err := p.migrate(t, m)
				if (outcome != NotBegun && outcome != StayedHere) || err == nil {
					t.Errorf("outcome %d, %v", outcome, err)
				}
				p.src.runs(p.id)
				p.dst.nothing()
			})
		}
	}
}
