package console

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"goxl/lab/hostile"
	"goxl/xenstore"
)

// consoleOnly is the kernel of a guest that has nothing but a console.
type consoleOnly struct {
	hostile.Xen
	g *fakeGuest
	t *testing.T
}

func (c consoleOnly) Console(context.Context, *xenstore.Client) (*hostile.Console, error) {
	return &hostile.Console{
		Page: c.g.page, Close: func() error { return nil }, Print: func(s string) { c.g.says(c.t, s) },
		Notify: func() { // as no kernel would: the event comes whatever the indices are
			if have := atomic.LoadUint32(c.g.word(3084)) - atomic.LoadUint32(c.g.word(3080)); have < outSize {
				c.g.print([]byte{'.'})
			}
			c.g.notify()
		},
	}, nil
}

// TestMisdeeds does to a console in this process what the lab's hostile guest does to
// its own on Xen, and has it printed and read afterwards. Another one is served meanwhile.
func TestMisdeeds(t *testing.T) {
	w := newWorld(t)
	w.start()
	bad, good := w.boot(7, "bad"), w.boot(8, "good")
	store, err := xenstore.Dial(t.Context(), xenstore.WithConn(w.srv.Pipe(7)))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	var out bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		hostile.Run(t.Context(), &out, store, consoleOnly{g: bad, t: t}, "console/")
	}()
	for n := 0; ; n++ {
		good.says(t, "good\n")
		select {
		case <-done:
		default:
			continue
		}
		break
	}
	t.Log(out.String())
	if strings.Contains(out.String(), "BAD") {
		t.Error("some misdeeds were not dealt with")
	}
	if n := bad.bound.delivered(); n > 5000 { // of about a million
		t.Errorf("the daemon looked at %d events of a storm", n)
	}
	bad.says(t, "bad is here again\n")
	good.says(t, "good is done\n")
	for name, text := range map[string]string{"bad": "bad is here again\n", "good": "good is done\n"} {
		eventually(t, name+" to be heard", func() bool {
			b, err := os.ReadFile(filepath.Join(w.opt.LogDir, "guest-"+name+".log"))
			return err == nil && bytes.Contains(b, []byte(text))
		})
	}
}
