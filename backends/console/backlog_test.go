package console

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// numbered is n bytes that differ from their neighbours, from number at on.
func numbered(at, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte((at + i) * 7 >> 1)
	}
	return b
}

func TestBacklogDropsTheMiddle(t *testing.T) {
	b := backlog{limit: 1000}
	all := numbered(0, 5000)
	for at := 0; at < len(all); at += 100 {
		b.Add(all[at : at+100])
	}
	got := b.Peek()
	if !bytes.HasPrefix(got, all[:500]) {
		t.Error("the oldest half of the limit is not there")
	}
	if !bytes.HasSuffix(got, all[4500:]) {
		t.Error("the newest half of the limit is not there")
	}
	if b.Len() > 1250 || uint64(b.Len())+b.Dropped != 5000 {
		t.Errorf("%d bytes wait and %d are dropped, of 5000", b.Len(), b.Dropped)
	}
}

// TestBacklogLosesNothing that it does not count: whoever reads sees the bytes in
// order, and as many as were not dropped.
func TestBacklogLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := backlog{limit: rapid.IntRange(8, 200).Draw(t, "limit"), keep: rapid.Bool().Draw(t, "keep")}
		added, read := 0, 0
		for range rapid.IntRange(1, 50).Draw(t, "steps") {
			if n := rapid.IntRange(0, 60).Draw(t, "n"); rapid.Bool().Draw(t, "add") {
				b.Add(numbered(added, n))
				added += n
			} else {
				n = min(n, b.Len())
				if b.Dropped == 0 && !bytes.Equal(b.Peek()[:n], numbered(read, n)) {
					t.Fatal("not in order")
				}
				b.Skip(n)
				read += n
			}
		}
		if read+b.Len()+int(b.Dropped) != added {
			t.Fatalf("%d read, %d wait, %d dropped, of %d", read, b.Len(), b.Dropped, added)
		}
		if b.keep && b.Dropped > 0 || !b.keep && b.Len() > b.limit+b.limit/4 {
			t.Fatalf("limit %d, keep %v: %d wait, %d dropped", b.limit, b.keep, b.Len(), b.Dropped)
		}
	})
}

func TestLimiter(t *testing.T) {
	var l limiter
	now := time.Unix(1000, 0)
	for i := range 29 {
		if wait := l.event(now.Add(time.Duration(i) * time.Millisecond)); wait != 0 {
			t.Fatalf("event %d has to wait %s", i+1, wait)
		}
	}
	if wait := l.event(now.Add(50 * time.Millisecond)); wait != 150*time.Millisecond {
		t.Fatalf("after 30 events in 50 ms: wait %s, want 150ms", wait)
	}
	now = now.Add(200 * time.Millisecond)
	for i := range 1000 { // one every 10 ms is no flood
		if wait := l.event(now.Add(time.Duration(i) * 10 * time.Millisecond)); wait != 0 {
			t.Fatalf("event %d of a steady guest has to wait %s", i+1, wait)
		}
	}
}
