package mirror

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// memory is a disk in memory, and the only one of its source.
type memory struct {
	*Tracker
	b      []byte
	disk   Disk
	fail   error
	settle chan struct{}
	taken  bool
}

func newMemory(t testing.TB, size int) *memory {
	tr, err := NewTracker(int64(size))
	if err != nil {
		t.Fatal(err)
	}
	return &memory{Tracker: tr, b: make([]byte, size), disk: Disk{ID: ID{3, 51712}, Path: "/disk", Format: "raw", Size: int64(size)}}
}

func (m *memory) Disks() []Disk { return []Disk{m.disk} }
func (m *memory) Disk() Disk    { return m.disk }
func (m *memory) Close()        { m.taken = false }

func (m *memory) Mirror(id ID) (Mirror, error) {
	if id != m.disk.ID || m.taken {
		return nil, errors.New("no such disk")
	}
	m.taken = true
	return m, nil
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) { return copy(p, m.b[off:]), m.fail }

func (m *memory) Settle(ctx context.Context) error {
	if m.settle == nil {
		return nil
	}
	select {
	case <-m.settle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func serve(t testing.TB, m *memory) string {
	dir, err := os.MkdirTemp("", "mirror") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	stop, err := Serve(dir, m, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); os.RemoveAll(dir) })
	return dir
}

func open(t testing.TB, m *memory) *Client {
	c, err := Open(t.Context(), serve(t, m), m.disk.ID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestRead reads a disk whose last block is short, with blocks of zeroes between others.
func TestRead(t *testing.T) {
	m := newMemory(t, 4*MinBlock+512)
	m.b[MinBlock+7], m.b[4*MinBlock+511] = 1, 2
	c := open(t, m)
	if c.Blocks() != 5 || c.BlockSize() != MinBlock || c.Disk() != m.disk {
		t.Fatalf("%d blocks of %d of %+v", c.Blocks(), c.BlockSize(), c.Disk())
	}
	data, zero, err := c.Read(t.Context(), 0, 5)
	if err != nil || zero != 0b01101 || len(data) != MinBlock+512 || data[7] != 1 || data[len(data)-1] != 2 {
		t.Errorf("%d bytes, zero %#b, %v", len(data), zero, err)
	}
	for _, tt := range [][2]int{{-1, 1}, {0, 0}, {0, 65}, {4, 2}, {5, 1}, {0, -1}, {1 << 40, 1}} {
		if _, _, err := c.Read(t.Context(), tt[0], tt[1]); err == nil || errors.Is(err, ErrLost) {
			t.Errorf("%d blocks from %d: %v", tt[1], tt[0], err)
		}
	}
	m.fail = errors.New("the platter is broken")
	if _, _, err := c.Read(t.Context(), 0, 1); err == nil || !strings.Contains(err.Error(), "platter") {
		t.Errorf("a disk that fails: %v", err)
	}
	m.fail, m.disk.Size = nil, 1<<20
	if _, _, err := c.Read(t.Context(), 0, 1); err == nil || !strings.Contains(err.Error(), "now has 1048576") {
		t.Errorf("a disk that grew: %v", err)
	}
}

func TestAbsent(t *testing.T) {
	if _, err := Disks(t.Context(), t.TempDir()); !errors.Is(err, ErrAbsent) {
		t.Errorf("without blkback: %v", err)
	}
	m := newMemory(t, 1<<20)
	dir := serve(t, m)
	if list, err := Disks(t.Context(), dir); err != nil || len(list) != 1 || list[0] != m.disk {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := Open(t.Context(), dir, ID{4, 51712}); err == nil || !strings.Contains(err.Error(), "no such disk") {
		t.Errorf("a disk that is not there: %v", err)
	}
	if fi, err := os.Stat(Socket(dir)); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", fi.Mode(), err)
	}
}

// TestCalledOff ends the context while blkback is asked.
func TestCalledOff(t *testing.T) {
	m := newMemory(t, 1<<20)
	m.settle = make(chan struct{})
	defer close(m.settle)
	c := open(t, m)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Settle(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if _, _, err := c.Read(t.Context(), 0, 1); err == nil {
		t.Error("it goes on after that")
	}
}

// TestSets holds sets to a list of numbers.
func TestSets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 300).Draw(t, "blocks")
		tr, err := NewTracker(int64(n) * MinBlock)
		if err != nil {
			t.Fatal(err)
		}
		want := map[int]bool{}
		for range rapid.IntRange(0, 20).Draw(t, "writes") {
			off := rapid.Int64Range(0, int64(n)*MinBlock-1).Draw(t, "off")
			length := rapid.Int64Range(1, 5*MinBlock).Draw(t, "length")
			tr.Mark(off, length)
			for i := off / MinBlock; i < int64(n) && i*MinBlock < off+length; i++ {
				want[int(i)] = true
			}
		}
		s := make(Set, len(NewSet(n)))
		tr.Take(s)
		most := rapid.IntRange(1, 70).Draw(t, "most")
		got := map[int]bool{}
		for i, k := s.Next(0, most); k > 0; i, k = s.Next(i+k, most) {
			if k > most {
				t.Fatalf("a run of %d", k)
			}
			for j := range k {
				got[i+j] = true
			}
		}
		if len(got) != len(want) || s.Len() != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for i := range want {
			if !got[i] {
				t.Fatalf("%d is missing", i)
			}
			s.Remove(i)
		}
		if s.Len() != 0 || NewSet(n).Len() != n {
			t.Fatal("not empty, or not full")
		}
		tr.Take(s)
		if s.Len() != 0 {
			t.Fatal("what was taken is there again")
		}
	})
}

func TestBlockSize(t *testing.T) {
	for _, tt := range []struct{ size, want int64 }{
		{512, MinBlock}, {MinBlock * MaxBlocks, MinBlock}, {MinBlock*MaxBlocks + 1, 2 * MinBlock}, {MaxSize, MaxBlock}, {MaxSize + 1, 0}, {0, 0}, {-1, 0},
	} {
		if got, err := BlockSize(tt.size); got != tt.want || (err == nil) != (tt.want > 0) {
			t.Errorf("%d: %d, %v", tt.size, got, err)
		}
	}
}

// FuzzServer sends a server anything: it answers in whole lines, or hangs up.
func FuzzServer(f *testing.F) {
	f.Add([]byte(`{"op":"list"}` + "\n" + `{"op":"open","id":{"dom":3,"dev":51712}}` + "\n" + `{"op":"dirty"}` + "\n" +
		`{"op":"read","first":0,"count":2}` + "\n" + `{"op":"settle"}` + "\n"))
	f.Add([]byte(`{"op":"read","first":9223372036854775807,"count":1}` + "\n"))
	f.Add([]byte(`{"op":"open","id":{"dom":3,"dev":51712}}` + "\n" + `{"op":"read","first":9223372036854775807,"count":64}` + "\n{}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newMemory(t, 3*MinBlock)
		s := &server{src: m, slots: make(chan struct{}, 1), ctx: t.Context()}
		s.slots <- struct{}{}
		here, there := net.Pipe()
		go func() { here.Write(b); here.Write([]byte("\n")) }()
		go func() { s.serve(there) }()
		r := bufio.NewReader(here)
		for n := bytes.Count(b, []byte("\n")); n > 0; n-- {
			var a reply
			if err := readLine(r, mostLine, &a); err != nil {
				break
			}
			if a.Bytes < 0 || a.Bytes > MostRead {
				t.Fatalf("%+v", a)
			}
			if _, err := r.Discard(a.Bytes); err != nil {
				t.Fatal(err)
			}
		}
		here.Close()
	})
}

// TestHostileAnswers is a server that answers what it should not.
func TestHostileAnswers(t *testing.T) {
	whole, _ := json.Marshal(reply{Disk: &Disk{ID: ID{3, 51712}, Size: 1 << 20}})
	for _, tt := range []struct{ name, opened, then string }{
		{"no disk", "{}\n", ""},
		{"another disk", `{"disk":{"dom":4,"dev":1,"size":512}}` + "\n", ""},
		{"too large", `{"disk":{"dom":3,"dev":51712,"size":9223372036854775807}}` + "\n", ""},
		{"no size", `{"disk":{"dom":3,"dev":51712,"size":-5}}` + "\n", ""},
		{"not JSON", "yes\n", ""},
		{"a line without end", strings.Repeat("x", mostLine+256<<10), ""},
		{"too many bytes", string(whole) + "\n", `{"bytes":99999999}` + "\n"},
		{"less than none", string(whole) + "\n", `{"bytes":-1}` + "\n"},
		{"too few bytes", string(whole) + "\n", `{"bytes":1}` + "\nx"},
		{"an end in the middle", string(whole) + "\n", `{"bytes":65536}` + "\nx"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "mirror")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			l, err := net.Listen("unix", Socket(dir))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				r := bufio.NewReader(c)
				for _, text := range []string{tt.opened, tt.then} {
					r.ReadString('\n')
					fmt.Fprint(c, text)
				}
			}()
			c, err := Open(t.Context(), dir, ID{3, 51712})
			if tt.then == "" {
				if err == nil {
					t.Fatal("it was taken")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, _, err := c.Read(t.Context(), 0, 1); err == nil {
				t.Fatal("it was taken")
			}
			if err := c.Settle(t.Context()); err == nil {
				t.Error("it goes on after that")
			}
		})
	}
}

func TestNext(t *testing.T) {
	s := make(Set, 2)
	for _, i := range []int{0, 1, 2, 63, 64, 127} {
		s.Add(i)
	}
	var got [][2]int
	for i, n := s.Next(0, 2); n > 0; i, n = s.Next(i+n, 2) {
		got = append(got, [2]int{i, n})
	}
	if want := [][2]int{{0, 2}, {2, 1}, {63, 2}, {127, 1}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
