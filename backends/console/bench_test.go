package console

import (
	"path/filepath"
	"testing"

	"goxl/xenctrl/abi"
)

// BenchmarkOutput takes full rings to a log, a tail and a terminal that nobody reads.
func BenchmarkOutput(b *testing.B) {
	dir := b.TempDir()
	g := newFakeHost(b).add(abi.DomID(3))
	pty, err := openTerminal()
	if err != nil {
		b.Fatal(err)
	}
	file, err := openLog(filepath.Join(dir, "guest-x.log"), LogOptions{MaxBytes: 64 << 20}, fixedNow)
	if err != nil {
		b.Fatal(err)
	}
	t, _, err := openTail(dir, "x", someone)
	if err != nil {
		b.Fatal(err)
	}
	s := newSink(pty, backlog{limit: defaultLimit}, file, t, false, nil)
	page, err := g.host.MapPrimary(3, 1234)
	if err != nil {
		b.Fatal(err)
	}
	port, err := g.host.Bind(3, 2)
	if err != nil {
		b.Fatal(err)
	}
	l := newLink(page, port, s, nil)
	text := numbered(0, outSize)
	b.SetBytes(outSize)
	b.ReportAllocs()
	for b.Loop() {
		g.print(text)
		if err := l.drain(); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if !g.drained() {
		b.Error("output is left in the ring")
	}
	for _, c := range []func() error{s.close, page.Close, port.Close} {
		if err := c(); err != nil {
			b.Error(err)
		}
	}
}
