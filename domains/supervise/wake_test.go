package supervise_test

import (
	"errors"
	"strings"
	"testing"

	"goxl/domains"
	"goxl/domains/supervise"
)

// A supervisor is started where guests are on record and nobody follows them.
func TestWake(t *testing.T) {
	w := newWorld(t, release417)
	wake := func(want bool) {
		t.Helper()
		started := false
		err := supervise.Wake(t.Context(), w.own(), func() error { started = true; return nil })
		if err != nil || started != want {
			t.Errorf("started: %t, want %t; %v", started, want, err)
		}
	}
	wake(false) // nobody ever registered a guest
	id := w.create(w.spec())
	w.awaitLog("to die")
	wake(false) // there is one
	w.stop()
	if err := w.ended(); err != nil {
		t.Fatal(err)
	}
	wake(true)
	boom := errors.New("no memory")
	err := supervise.Wake(t.Context(), w.own(), func() error { return boom })
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), "nobody follows the end of 1 guests") {
		t.Errorf("Wake where none can be started: %v", err)
	}
	w.start()
	w.end(id, domains.Poweroff)
	if err := w.ended(); err != nil {
		t.Fatal(err)
	}
	wake(false) // no guest is left
}
