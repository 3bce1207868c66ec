package backends_test

import (
	"testing"
	"time"

	"goxl/xenctrl/xentest"
)

func TestMain(m *testing.M) { xentest.Main(m) }

// eventually waits until f has nothing to say.
func eventually(t *testing.T, f func() string) {
	t.Helper()
	last := f()
	for end := time.Now().Add(20 * time.Second); last != "" && time.Now().Before(end); last = f() {
		time.Sleep(2 * time.Millisecond)
	}
	if last != "" {
		t.Error(last)
	}
}
