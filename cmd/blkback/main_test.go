package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"goxl/blkback"
	"goxl/blkback/disk"
)

func TestParseOptions(t *testing.T) {
	def := options{Options: blkback.Options{Dir: blkback.DefaultDir}, policy: defaultPolicy}
	for _, tt := range []struct {
		args string
		want func(o *options)
		err  string
	}{
		{"", func(*options) {}, ""},
		{"-v --workers 3 --max-queues=2 --buffered --state-dir=/x", func(o *options) {
			o.verbose, o.Workers, o.Queues, o.Buffered, o.Dir = true, 3, 2, true, "/x"
		}, ""},
		{"--stats", func(o *options) { o.stats = true }, ""},
		{"--backing-dir /a/ --backing-dir=/b", func(o *options) { o.Backing.Dirs = []string{"/a", "/b"} }, ""},
		{"--backing-dir=b", nil, "no whole path"},
		{"--state-dir=here", nil, "no whole path"},
		{"--policy /etc/x", func(o *options) { o.policy = "/etc/x" }, ""},
		{"--policy=x", nil, "--policy=x is no whole path"},
		{"7", nil, `no arguments, and was given "7"`},
		{"--workers=many", nil, "invalid value"},
	} {
		o, err := parseOptions(strings.Fields(tt.args), new(strings.Builder))
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%q: %v", tt.args, err)
			}
			continue
		}
		want := def
		tt.want(&want)
		if err != nil || !reflect.DeepEqual(o, want) {
			t.Errorf("%q: %+v, %v", tt.args, o, err)
		}
	}
	if _, err := parseOptions([]string{"--help"}, new(strings.Builder)); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("--help: %v", err)
	}
}

// TestTheNextWaits takes the lock while another has it: it comes when the other lets go.
func TestTheNextWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := takeLock(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := announce(first, []disk.Format{"raw", "qcow2"}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "formats raw qcow2\n" {
		t.Errorf("announced %q, %v", b, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := takeLock(ctx, path, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second lock: %v", err)
	}
	got := make(chan error, 1)
	go func() {
		f, err := takeLock(context.Background(), path, nil)
		if err == nil {
			f.Close()
		}
		got <- err
	}()
	time.Sleep(30 * time.Millisecond)
	first.Close()
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestStats(t *testing.T) {
	dir := t.TempDir()
	d, err := blkback.NewDriver(blkback.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := printStats(t.Context(), dir, new(strings.Builder)); err == nil || !strings.Contains(err.Error(), "is blkback running?") {
		t.Errorf("without a daemon: %v", err)
	}
	for range 2 { // the second one finds the socket of the first
		stop, err := serveStats(filepath.Join(dir, statsSocket), d)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := printStats(t.Context(), dir, &out); err != nil {
			t.Fatal(err)
		}
		var list []blkback.Stats
		if err := json.Unmarshal([]byte(out.String()), &list); err != nil || list == nil || len(list) != 0 {
			t.Errorf("%q: %v", out.String(), err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}
