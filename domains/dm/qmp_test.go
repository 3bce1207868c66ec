package dm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

const greeting = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "Debian"}, "capabilities": ["oob"]}}`

// fakeQEMU answers commands by name; ID in an answer becomes the command's.
func fakeQEMU(conn io.ReadWriteCloser, answers map[string]string) {
	defer conn.Close()
	fmt.Fprintln(conn, greeting)
	for s := bufio.NewScanner(conn); s.Scan(); {
		var c struct {
			Execute string
			ID      json.Number
		}
		if json.Unmarshal(s.Bytes(), &c) != nil {
			return
		}
		a, ok := answers[c.Execute]
		if !ok {
			a = `{"return": {}, "id": ID}`
		}
		fmt.Fprintln(conn, strings.ReplaceAll(a, "ID", c.ID.String()))
	}
}

func monitor(t *testing.T, answers map[string]string) *Monitor {
	a, b := net.Pipe()
	go fakeQEMU(b, answers)
	m, err := NewMonitor(t.Context(), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestMonitor(t *testing.T) {
	m := monitor(t, map[string]string{
		"query-status":  "{\"event\": \"RESUME\"}\n{\"return\": {\"status\": \"running\"}, \"id\": ID}",
		"bad":           `{"error": {"class": "CommandNotFound", "desc": "no such thing"}, "id": ID}`,
		"query-chardev": `{"return": [{"label": "serial1", "filename": "pty:/dev/pts/4"}, {"label": "libxl-cmd", "filename": "x"}, {"label":"serial0","filename":"null"}], "id": ID}`,
		"query-vnc":     `{"return": {"enabled": true, "host": "127.0.0.1", "service": "5901"}, "id": ID}`,
	})
	if v := m.Version(); v != (Version{7, 2, 22}) {
		t.Errorf("version %v", v)
	}
	var status struct{ Status string }
	if err := m.Execute(t.Context(), "query-status", nil, &status); err != nil || status.Status != "running" {
		t.Errorf("status %q, %v", status.Status, err)
	}
	var refused *QMPError
	if err := m.Execute(t.Context(), "bad", map[string]int{"a": 1}, nil); !errors.As(err, &refused) || refused.Class != "CommandNotFound" {
		t.Errorf("refusal: %v", err)
	}
	if ttys, err := m.SerialTTYs(t.Context()); err != nil || len(ttys) != 1 || ttys[1] != "/dev/pts/4" {
		t.Errorf("terminals %v, %v", ttys, err)
	}
	if v, err := m.VNC(t.Context()); err != nil || v != (VNCState{true, "127.0.0.1", "5901"}) {
		t.Errorf("vnc %+v, %v", v, err)
	}
}

func TestMonitorHostile(t *testing.T) {
	for name, greet := range map[string]string{
		"closes":    "",
		"no JSON":   "hello\n",
		"not QMP":   "{}\n",
		"too long":  strings.Repeat("x", maxMessage+2),
		"deep JSON": strings.Repeat("[", 100000) + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			a, b := net.Pipe()
			go func() {
				io.WriteString(b, greet)
				b.Close()
			}()
			released := false
			if _, err := NewMonitor(t.Context(), a, func() { released = true }); err == nil || !released {
				t.Errorf("error %v, released %v", err, released)
			}
		})
	}
}

func TestMonitorDeadline(t *testing.T) {
	m := monitor(t, map[string]string{"stop": `{"event": "never answered"}`})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := m.Execute(ctx, "stop", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if err := m.Execute(t.Context(), "cont", nil, nil); err == nil {
		t.Error("a monitor out of step was used again")
	}
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte(greeting + "\n"))
	f.Add([]byte("{\"return\": [], \"id\": 1}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &Monitor{in: bufio.NewReader(strings.NewReader(string(b)))}
		var r reply
		for m.receive(&r) == nil {
		}
	})
}

func ExampleNewMonitor() {
	a, b := net.Pipe()
	go fakeQEMU(b, map[string]string{"query-status": `{"return": {"status": "running"}, "id": ID}`})
	mon, err := NewMonitor(context.Background(), a, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer mon.Close()
	var status struct{ Status string }
	err = mon.Execute(context.Background(), "query-status", nil, &status)
	fmt.Println(mon.Version().Major, status.Status, err)
	// Output: 7 running <nil>
}
