package move

import (
	"io"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
)

// relay passes TCP connections on to the peer. It ends the one that is named, counted
// from 1, once so many bytes have gone through.
type relay struct {
	net.Listener
	to          string
	which, then int
}

func (r *relay) serve() {
	for n := 1; ; n++ {
		c, err := r.Accept()
		if err != nil {
			return
		}
		d, err := net.Dial("tcp", r.to)
		if err != nil {
			c.Close()
			continue
		}
		go func() { io.Copy(c, d); c.Close() }()
		go func() {
			if n == r.which {
				io.CopyN(d, c, int64(r.then))
			} else {
				io.Copy(d, c)
			}
			c.Close()
			d.Close()
		}()
	}
}

// TestLabDirect takes guests over TCP connections of their own: one of which is cut, to
// a port that cannot be reached, and with what else says when to stop.
func TestLabDirect(t *testing.T) {
	here, there := hosts(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go (&relay{l, os.Getenv("GOXL_PEER") + ":7770", 2, 1 << 20}).serve()
	for _, tt := range []struct {
		name, kind, options, receiver string
		dirty                         string // KiB a second
		says, saysNot                 string
		quick, onlyIn                 bool
	}{
		{name: "three connections, one is cut", kind: "pvh", options: "--streams=3 --via=" + l.Addr().String(), receiver: "--listen=:7770",
			says: `directly, over 3 connections, of which [1-9]\d* were lost`},
		{name: "quick", kind: "pv", options: "--streams=2 --quick", says: `directly, over 2 connections, of which 0 were lost`, onlyIn: true},
		{name: "closed, and two rounds", kind: "pvh", options: "--streams=2 --max-rounds=2", receiver: "--listen=127.0.0.1:7771", dirty: "8000",
			says: `(?s)The direct way is closed, so the guest goes over the channel: .*7771.*round 2: `, saysNot: `round 3: |directly, over`},
		{name: "a long downtime", kind: "pvh", options: "--streams=1 --max-downtime=600000", dirty: "8000", says: `(?s)round 1: .*directly, over 1`, saysNot: `round 2: `, onlyIn: true},
		{name: "slowed down", kind: "pvh", options: "--streams=2 --auto-converge --max-rounds=4", dirty: "8000",
			says: `(?s)it keeps 70 % of its processor time.*slowed down to \d+ %.*directly, over 2`},
	} {
		if tt.onlyIn && !full() {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			const name = "direct"
			t.Cleanup(func() { clear(t, name, here, there) })
			if tt.dirty == "" {
				tt.dirty = "100"
			}
			createDirty(t, here, name, tt.kind, tt.dirty)
			command := strings.TrimSuffix(here.migrate(false, "--timeline "+tt.options+" ", name, there, false), "'") + " " + tt.receiver + "'"
			out := here.must(t, command+" 2>&1")
			t.Log(out)
			if !regexp.MustCompile(tt.says).MatchString(out) || tt.saysNot != "" && regexp.MustCompile(tt.saysNot).MatchString(out) {
				t.Errorf("it does not say %q, or does say %q", tt.says, tt.saysNot)
			}
			t.Logf("longest gap %s ms", there.whole(t, name))
			if cap := there.cap(t, name); cap != "0" {
				t.Errorf("there its cap is %s", cap)
			}
			if left := here.domains(t, name); len(left) > 0 {
				t.Errorf("here is %v", left)
			}
			if said := there.must(t, "ss -ltn 2>/dev/null || netstat -ltn"); regexp.MustCompile(`:777[01]\s`).MatchString(said) {
				t.Errorf("the receiver listens yet:\n%s", said)
			}
		})
	}
}

// cap is that of a guest, as the genuine xl says it.
func (s side) cap(t *testing.T, name string) string {
	t.Helper()
	f := strings.Fields(s.must(t, s.tool(true)+" sched-credit2 -d "+name+" | tail -n 1"))
	return f[len(f)-1]
}

// TestLabKilledSender kills the sender while it has a guest slowed down. The next command
// gives the guest its processor time back.
func TestLabKilledSender(t *testing.T) {
	if !full() {
		t.Skip("of the whole matrix only: it takes a minute")
	}
	here, there := hosts(t)
	const name = "slow"
	t.Cleanup(func() { clear(t, name, here, there) })
	createDirty(t, here, name, "pvh", "8000")
	out, err := here.try(t, here.migrate(false, "--auto-converge ", name, there, false)+` 2>&1 < /dev/null | while read -r line; do
	echo "$line"
	case $line in *"it keeps "*) pkill -9 -f "^`+here.tool(false)+` migrate -s" ;; esac
done`)
	t.Log(out, err)
	if cap := here.cap(t, name); cap == "0" {
		t.Fatal("it was not slowed down when the sender was killed")
	}
	if said := here.must(t, here.tool(false)+" list 2>&1"); !strings.Contains(said, "it has its processor time back") {
		t.Errorf("the next command says\n%s", said)
	}
	if cap := here.cap(t, name); cap != "0" {
		t.Errorf("its cap is %s", cap)
	}
	await(t, "the receiver to give up", func() bool { return len(there.domains(t, name)) == 0 })
	if said := here.listen(t, name, "check", "pattern:", 1); !strings.Contains(said, "pattern: ok") {
		t.Errorf("its memory is not whole: %s", said)
	}
}
