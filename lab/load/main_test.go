package main

import (
	"net"
	"strings"
	"testing"
)

// TestLoopback has a listener and each of the asks in one process.
func TestLoopback(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close() // free for the listener, which wants its datagrams too
	go func() { t.Error(listen(addr)) }()
	for _, what := range []string{"sink", "source"} {
		for _, n := range []int{1, chunk - 1, 3*chunk + 7} {
			if took, err := askStream(addr, what, n); err != nil || took <= 0 {
				t.Errorf("%s of %d bytes took %v, %v", what, n, took, err)
			}
		}
	}
	for _, window := range []int{1, 16} {
		if took, err := askEcho(addr, 100, 64, window); err != nil || took <= 0 {
			t.Errorf("echo, %d at a time, took %v, %v", window, took, err)
		}
	}
}

func TestDrainWantsAll(t *testing.T) {
	if err := drain(strings.NewReader("four"), 4); err != nil {
		t.Error(err)
	}
	if err := drain(strings.NewReader("four"), 5); err == nil {
		t.Error("a byte is missing and nobody says so")
	}
}

func TestMisuse(t *testing.T) {
	for _, args := range []string{"", "listen", "sink 127.0.0.1:1", "sink 127.0.0.1:1 0", "source 127.0.0.1:1 many", "echo 127.0.0.1:1 4 64", "walk 127.0.0.1:1 4"} {
		if err := run(strings.Fields(args)); err == nil {
			t.Errorf("%q is taken", args)
		}
	}
	if _, err := askEcho("127.0.0.1:1", 1, 3, 1); err == nil {
		t.Error("datagrams without room for their number are taken")
	}
}
