package transport

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaceDecides(t *testing.T) {
	for _, tt := range []struct {
		name     string
		zstd     time.Duration // for a MiB
		to       int           // KiB that it becomes
		link     time.Duration // for a MiB
		compress bool
	}{
		{"slow link, good pages", 3 * time.Millisecond, 300, 9 * time.Millisecond, true},
		{"fast link, good pages", 3 * time.Millisecond, 300, time.Millisecond, false},
		{"slow link, poor pages", 3 * time.Millisecond, 900, 9 * time.Millisecond, false},
		{"very slow link, poor pages", 3 * time.Millisecond, 900, 90 * time.Millisecond, true},
		{"slow link, slow CPU", 30 * time.Millisecond, 300, 9 * time.Millisecond, false},
		{"a link that takes no time", 0, 1, 0, false},
		{"pages that only grow", 0, 1100, time.Second, false},
	} {
		var p pace
		if !p.worth() {
			t.Errorf("%s: the first block is not tried", tt.name)
		}
		p.packed(1<<20, tt.to<<10, tt.zstd)
		p.sent(100, time.Hour) // says nothing
		if p.worth() {
			t.Errorf("%s: nothing is sent to see how fast the link is", tt.name)
		}
		p.sent(1<<20, tt.link)
		tries := 0
		for range 10 * (tryEvery + 1) {
			if p.worth() {
				tries++
			}
		}
		if want := map[bool]int{true: 10 * (tryEvery + 1), false: 10}[tt.compress]; tries != want {
			t.Errorf("%s: %d blocks are compressed, want %d", tt.name, tries, want)
		}
	}
}

// On a slow link pages that become next to nothing go as they are seldom, and less and
// less often.
func TestPaceSmallBlocks(t *testing.T) {
	var p pace
	var plain []int
	for i := range 5000 {
		if p.worth() {
			p.packed(1<<20, 1<<10, time.Millisecond)
			p.sent(1<<10, 0)
		} else {
			plain = append(plain, i)
			p.sent(1<<20, time.Second)
		}
	}
	if len(plain) < 5 || len(plain) > 10 {
		t.Errorf("of 5000 blocks %v went as they are", plain)
	}
	for i := 2; i < len(plain)-1; i++ {
		if a, b := plain[i]-plain[i-1], plain[i+1]-plain[i]; b < a {
			t.Errorf("%d blocks between, then %d", a, b)
		}
	}
}

// A link that changes is noticed within a few blocks.
func TestPaceChanges(t *testing.T) {
	var p pace
	run := func(link time.Duration, blocks int) (compressed int) {
		for range blocks {
			if p.worth() {
				compressed++
				p.packed(1<<20, 300<<10, 3*time.Millisecond)
				p.sent(300<<10, link*300/1024)
			} else {
				p.sent(1<<20, link)
			}
		}
		return compressed
	}
	run(9*time.Millisecond, 10)
	if a, b := run(time.Millisecond, 12), run(time.Millisecond, 66); a > 10 || b > 3 {
		t.Errorf("%d of 12 blocks, then %d of 66, are compressed for a fast link", a, b)
	}
	if a, b := run(9*time.Millisecond, 12), run(9*time.Millisecond, 50); a < 6 || b < 50 {
		t.Errorf("%d of 12 blocks, then %d of 50, are compressed for a slow link", a, b)
	}
}

// slow is a link that becomes fast.
type slow struct {
	bytes.Buffer
	perByte time.Duration
}

func (s *slow) Write(b []byte) (int, error) {
	time.Sleep(s.perByte * time.Duration(len(b)))
	return s.Buffer.Write(b)
}

// A Writer does not compress for a fast way, and begins to when it becomes slow; all of
// it comes out as it was.
func TestAdapt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that compressing takes no time, and a fast link neither
		link, random := &slow{}, rand.NewChaCha8([32]byte{1})
		w := NewWriter(link)
		w.Adapt()
		var want []byte
		size := func(perByte time.Duration) int {
			link.perByte = perByte
			before := link.Len()
			for range 40 {
				b := make([]byte, 256*PageSize)
				for p := 0; p < len(b); p += PageSize { // half of each page is random
					random.Read(b[p : p+PageSize/2])
				}
				want = append(want, b...)
				if _, err := w.Write(b); err != nil {
					t.Fatal(err)
				}
			}
			return link.Len() - before
		}
		fast, slow := size(0), size(time.Microsecond)
		if 2*fast < 3*slow {
			t.Errorf("bytes on a fast link %d, on a slow one %d", fast, slow)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := unpack(&link.Buffer); err != nil || !bytes.Equal(got, want) {
			t.Error(err, len(got))
		}
	})
}

func TestAdaptNoAllocations(t *testing.T) {
	b := pages("mixed", benchPages)
	w := NewWriter(io.Discard)
	w.Adapt()
	for range 3 {
		w.Write(b)
	}
	if n := testing.AllocsPerRun(10, func() { w.Write(b) }); n > 0 {
		t.Errorf("%v allocations for %d pages", n, benchPages)
	}
}
