package blkback

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"goxl/blkback/blkif"
	"goxl/xenctrl/abi"
)

func testParams(queues, pages int) *params {
	p := &params{id: newConnectionID(), layout: blkif.X86_64, pages: pages}
	for q := range queues {
		qp := queueParams{port: abi.Port(q + 5)}
		for i := range pages {
			qp.refs = append(qp.refs, abi.GrantRef(100*q+i))
		}
		p.queues = append(p.queues, qp)
	}
	return p
}

func TestJournalFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j")
	for _, p := range []*params{testParams(1, 1), testParams(maxQueues, maxRingPages)} {
		j, err := createJournal(path, p)
		if err != nil {
			t.Fatal(err)
		}
		s := sections(j.mem, p)
		s[len(s)-1].reset(77)
		e := s[len(s)-1].begin(77, []byte{1, 2, 3})
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
		j, err = openJournal(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p, j.params, cmp.AllowUnexported(params{}, queueParams{})); diff != "" {
			t.Errorf("opened again (-want +got):\n%s", diff)
		}
		last := sections(j.mem, j.params)[len(p.queues)-1]
		todo, err := last.recover()
		if err != nil || !slices.Equal(todo, []uint16{e}) || last.slot(e)[2] != 3 {
			t.Errorf("recovered %v, %v", todo, err)
		}
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestJournalRefused(t *testing.T) {
	dir := t.TempDir()
	p := testParams(2, 1)
	for name, edit := range map[string]func(b []byte) []byte{
		"unfinished":       func(b []byte) []byte { clear(b[:8]); return b },
		"unknown layout":   func(b []byte) []byte { b[8] = 9; return b },
		"no queues":        func(b []byte) []byte { clear(b[16:20]); return b },
		"too many queues":  func(b []byte) []byte { b[17] = 1; return b },
		"too many pages":   func(b []byte) []byte { b[12] = 17; return b },
		"cut":              func(b []byte) []byte { return b[:len(b)-1] },
		"empty":            func(b []byte) []byte { return nil },
		"of another shape": func(b []byte) []byte { b[16] = 3; return b },
	} {
		path := filepath.Join(dir, "j")
		j, err := createJournal(path, p)
		if err != nil {
			t.Fatal(err)
		}
		b := edit(slices.Clone(j.mem))
		if err := errors.Join(j.close(), os.WriteFile(path, b, 0o600)); err != nil {
			t.Fatal(err)
		}
		if j, err := openJournal(path); !errors.Is(err, ErrJournal) {
			t.Errorf("%s: %v, %v", name, j, err)
		}
	}
	if _, err := openJournal(filepath.Join(dir, "missing")); !errors.Is(err, ErrJournal) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
}

// TestJournalAtEveryMoment runs a queue's steps in random order and interleaving, and
// recovers from the journal as it is between any two stores: what has to be done again
// must be exactly what was taken and has no final answer.
func TestJournalAtEveryMoment(t *testing.T) {
	p := testParams(1, 1)
	mem := make([]byte, p.size()+8)
	rapid.Check(t, func(t *rapid.T) {
		s := sections(mem[:p.size()], p)[0]
		start := uint32(0) - rapid.Uint32Range(0, 40).Draw(t, "start")
		s.reset(start)
		taken, put, final := start, start, start
		open := map[uint32]uint16{}     // request index to entry: taken, not answered
		answered := map[uint32]uint16{} // answered, not final
		check := func(when string) {
			r := &section{b: slices.Clone(s.b)}
			todo, err := r.recover()
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			var got, want []uint32
			for _, e := range todo {
				got = append(got, *r.entry(e, 1)-start)
			}
			for _, m := range []map[uint32]uint16{open, answered} {
				for i := range m {
					want = append(want, i-start)
				}
			}
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Fatalf("%s: to do again are %v, want %v", when, got, want)
			}
			if len(todo)+len(r.free) != r.slots() {
				t.Fatalf("%s: %d entries lost", when, r.slots()-len(todo)-len(r.free))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				if taken-final >= 32 || len(s.free) == 0 {
					return
				}
				// The entry is there before the index covers it.
				before := *s.taken()
				e := s.begin(taken, []byte{byte(taken)})
				*s.taken() = before
				check("before the index of taken requests")
				*s.taken() = taken + 1
				open[taken] = e
				taken++
				check("after taking")
			},
			"answer": func(t *rapid.T) {
				if len(open) == 0 {
					return
				}
				var list []uint32
				for i := range open {
					list = append(list, i)
				}
				slices.Sort(list)
				i := rapid.SampledFrom(list).Draw(t, "request")
				e := open[i]
				s.answer(e, put)
				put++
				delete(open, i)
				answered[i] = e
				check("after answering")
			},
			"publish": func(t *rapid.T) {
				s.commit(put)
				final = put
				done := answered
				answered = map[uint32]uint16{}
				check("after the commit")
				for _, e := range done {
					s.done(e)
					check("while entries become free")
				}
			},
		})
	})
}

func TestJournalThatCannotBe(t *testing.T) {
	p := testParams(1, 1)
	for name, edit := range map[string]func(s *section){
		"unknown state":       func(s *section) { *s.entry(3, 0) = 9 },
		"more taken":          func(s *section) { *s.taken() = 5 },
		"a request too many":  func(s *section) { s.begin(0, nil); *s.answered() = 1 },
		"answered from afar":  func(s *section) { *s.answered() = 1 << 31 },
		"taken by ring's end": func(s *section) { *s.taken() = 1 << 31 },
	} {
		s := sections(make([]byte, p.size()), p)[0]
		s.reset(0)
		edit(s)
		if todo, err := s.recover(); !errors.Is(err, ErrJournal) {
			t.Errorf("%s: recovered %v, %v", name, todo, err)
		}
	}
}

// FuzzJournal opens any bytes as a journal and recovers each queue.
func FuzzJournal(f *testing.F) {
	p := testParams(2, 1)
	b := make([]byte, p.size())
	if err := p.encode(b); err != nil {
		f.Fatal(err)
	}
	f.Add(b, 0, uint32(0))
	f.Add(b, journalHeader, uint32(7))
	f.Fuzz(func(t *testing.T, b []byte, at int, word uint32) {
		b = append(make([]byte, 0, len(b)+8), b...)
		if at >= 0 && at+4 <= len(b) {
			b[at], b[at+1], b[at+2], b[at+3] = byte(word), byte(word>>8), byte(word>>16), byte(word>>24)
		}
		p, err := decodeParams(b)
		if err != nil {
			return
		}
		for _, s := range sections(b, p) {
			if todo, err := s.recover(); err == nil && len(todo)+len(s.free) != s.slots() {
				t.Errorf("%d to do, %d free of %d", len(todo), len(s.free), s.slots())
			}
		}
	})
}
