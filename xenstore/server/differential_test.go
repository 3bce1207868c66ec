package server_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"goxl/xenctrl/abi"
	"goxl/xenstore/server"
	"goxl/xenstore/wire"
)

// TestLikeGenuineDaemon sends random requests, also malformed ones, to the C
// daemon whose socket XENSTORE_TEST_SOCKET names, and to the server, over two
// connections each. Every reply and every event must be the same, in the same
// order. The daemon must serve nobody else and know no domain but dom0.
func TestLikeGenuineDaemon(t *testing.T) {
	genuine := os.Getenv("XENSTORE_TEST_SOCKET")
	if genuine == "" {
		t.Skip("XENSTORE_TEST_SOCKET does not name a daemon's socket")
	}
	ours := filepath.Join(t.TempDir(), "s")
	srv := server.New(server.Options{Exists: func(id abi.DomID) bool { return id == 0 }})
	defer srv.Close()
	if err := srv.Listen(ours); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		a, b := connect(rt, genuine), connect(rt, ours)
		defer a.close()
		defer b.close()
		var log []string
		for _, q := range rapid.SliceOfN(genRaw(), 1, 40).Draw(rt, "requests") {
			log = append(log, q.String())
			if d := cmp.Diff(a.ask(rt, q), b.ask(rt, q)); d != "" {
				rt.Fatalf("after\n%s\n(-genuine +ours)\n%s", strings.Join(log, "\n"), d)
			}
		}
	})
}

// raw is a request before it is known which transaction ids the daemon gives.
type raw struct {
	conn    int
	op      wire.Op
	tx      int // 0 none, 1 the connection's newest, 2 the one before, 3 none that exists
	payload string
}

func (q raw) String() string {
	return fmt.Sprintf("conn %d tx %d: %s %q", q.conn, q.tx, q.op, q.payload)
}

func genRaw() *rapid.Generator[raw] {
	path := rapid.SampledFrom([]string{
		"/t", "/t/a", "/t/a/b", "/t/a/b", "/t/b", "/t/c/d/e", "/t/a", "rel", "rel/x", "/local/domain/0/rel", "/",
		"@releaseDomain", "@introduceDomain", "", "/t/", "/t//a", "/t a", "/none/x", "/tool",
	})
	value := rapid.SampledFrom([]string{"", "v", "w", "a\x00b", strings.Repeat("x", 300)})
	token := rapid.SampledFrom([]string{"T1", "T2", ""})
	perms := rapid.SampledFrom([]string{"n0\x00", "b0\x00r5\x00", "r9\x00", "x0\x00", "n\x00", "", "w0\x00n3\x00b4\x00"})
	tail := rapid.SampledFrom([]string{"\x00", "\x00", "\x00", "\x00", "\x00", "\x00", "", "\x00x", "\x00\x00"})
	return rapid.Custom(func(t *rapid.T) raw {
		q := raw{
			conn: rapid.IntRange(0, 1).Draw(t, "conn"),
			tx:   rapid.SampledFrom([]int{0, 0, 0, 1, 1, 1, 2, 3}).Draw(t, "tx"),
			op: rapid.SampledFrom([]wire.Op{
				wire.OpRead, wire.OpWrite, wire.OpWrite, wire.OpWrite, wire.OpMkdir, wire.OpRm, wire.OpDirectory,
				wire.OpGetPerms, wire.OpSetPerms, wire.OpWatch, wire.OpWatch, wire.OpUnwatch, wire.OpTransactionStart,
				wire.OpTransactionStart, wire.OpTransactionEnd, wire.OpTransactionEnd, wire.OpGetDomainPath,
				wire.OpIsIntroduced, wire.OpRelease, wire.OpResume, wire.OpResetWatches, wire.OpWatchEvent, wire.OpError, 20, 99,
			}).Draw(t, "op"),
		}
		p, end := path.Draw(t, "path"), tail.Draw(t, "tail")
		switch q.op {
		case wire.OpWrite:
			q.payload = p + "\x00" + value.Draw(t, "value")
		case wire.OpSetPerms:
			q.payload = p + "\x00" + perms.Draw(t, "perms")
		case wire.OpWatch, wire.OpUnwatch:
			q.payload = p + "\x00" + token.Draw(t, "token") + end
		case wire.OpTransactionStart, wire.OpResetWatches:
			q.payload = end
		case wire.OpTransactionEnd:
			q.payload = rapid.SampledFrom([]string{"T", "T", "T", "F", "X"}).Draw(t, "end") + end
		case wire.OpGetDomainPath, wire.OpIsIntroduced, wire.OpRelease, wire.OpResume:
			q.payload = rapid.SampledFrom([]string{"0", "7", "32752"}).Draw(t, "domain") + end
		default: // the daemon's errno for a path without its NUL is an old one
			q.payload = p + "\x00"
		}
		return q
	})
}

// peer is one daemon with two connections.
type peer struct {
	conns [2]net.Conn
	in    [2]*wire.Reader
	txs   [2][]uint32 // as the daemon numbers them, newest last
	id    uint32
}

func connect(t *rapid.T, socket string) *peer {
	p := &peer{}
	for i := range p.conns {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(30 * time.Second))
		p.conns[i], p.in[i] = c, wire.NewReader(bufio.NewReader(c), wire.MaxPayload)
	}
	for _, q := range []raw{
		{op: wire.OpRm, payload: "/t\x00"}, {op: wire.OpRm, payload: "/local\x00"}, {op: wire.OpRm, payload: "/none\x00"},
		{op: wire.OpWrite, payload: "/\x00"}, {op: wire.OpSetPerms, payload: "/\x00n0\x00"},
		{op: wire.OpRm, payload: "/tool\x00"}, {op: wire.OpWrite, payload: "/tool\x00"},
	} {
		p.ask(t, q)
	}
	return p
}

func (p *peer) close() {
	for _, c := range p.conns {
		c.Close()
	}
}

// ask sends q and returns what comes on both connections because of it, with
// the daemon's own numbers taken out.
func (p *peer) ask(t *rapid.T, q raw) [2][]string {
	open := p.txs[q.conn]
	var tx uint32
	switch {
	case q.tx == 3:
		tx = 0xdead
	case q.tx > 0 && q.tx <= len(open):
		tx = open[len(open)-q.tx]
	}
	id := p.send(t, q.conn, q.op, tx, q.payload)
	var got [2][]string
	for _, i := range []int{q.conn, 1 - q.conn} { // the other's events are queued by then
		sync := p.send(t, i, wire.OpGetDomainPath, 0, "0\x00")
		for {
			r, err := p.in[i].Next()
			if err != nil {
				t.Fatalf("%s: %v", q, err)
			}
			if r.ReqID == sync && r.Op != wire.OpWatchEvent {
				break
			}
			if r.ReqID == id && r.Op == wire.OpTransactionStart {
				var n uint32
				fmt.Sscan(string(r.Payload), &n)
				p.txs[i] = append(p.txs[i], n)
				r.Payload = nil
			}
			if r.ReqID == id && q.op == wire.OpTransactionEnd && r.Op == q.op {
				p.txs[i] = slices.DeleteFunc(p.txs[i], func(n uint32) bool { return n == tx })
			}
			line := fmt.Sprintf("%s id %v tx %v %q", r.Op, r.ReqID == id, r.TxID == tx, r.Payload)
			if !slices.Contains(got[i], line) { // the daemon drops an event that equals one not sent yet
				got[i] = append(got[i], line)
			}
		}
	}
	return got
}

func (p *peer) send(t *rapid.T, conn int, op wire.Op, tx uint32, payload string) uint32 {
	p.id++
	b, err := wire.AppendPacket(nil, wire.Packet{Op: op, ReqID: p.id, TxID: tx, Payload: []byte(payload)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.conns[conn].Write(b); err != nil {
		t.Fatal(err)
	}
	return p.id
}
