package console

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"goxl/xenctrl/abi"
)

// TailSize is how much is kept of a console's output, in bytes.
const TailSize = 64 << 10

// TailDir is where the last words of guests are kept unless told otherwise.
const TailDir = "/var/lib/goxl/console"

// generations is how many domains of one name are remembered: NAME.0 is the last one.
const generations = 3

// maxTails bounds how many tails of ended domains stay in the folder.
const maxTails = 128

// A tail file is a header of tailData bytes and then a circular array: the byte with
// number n of the console's output lies at n modulo TailSize.
const (
	tailMagic  = "goxltail"
	tailFormat = 1
	tailData   = 128
)

// TailInfo is what is known of a kept console. Its numbers count bytes of output
// since the tail was begun.
type TailInfo struct {
	Dom      abi.DomID
	UUID     abi.UUID
	Boot     [16]byte  // of this host, see bootID
	Begun    time.Time // to the second, as Ended
	Ended    time.Time // zero: the domain lives, or nobody saw its end
	Produced uint64    // by the guest
	Given    uint64    // to the terminal
	Next     uint32    // the ring's index after the last byte
	Last     uint32    // how many bytes came last
	Logged   uint64    // the size of the log before those were written to it
}

// append appends the header's bytes, but for the zeroes up to tailData.
func (h *TailInfo) append(b []byte) []byte {
	le := binary.LittleEndian
	b = append(b, tailMagic...)
	b = le.AppendUint32(b, tailFormat)
	b = le.AppendUint32(b, TailSize)
	b = le.AppendUint32(b, uint32(h.Dom))
	b = le.AppendUint32(b, h.Next)
	b = le.AppendUint64(b, h.Produced)
	b = le.AppendUint64(b, h.Given)
	b = le.AppendUint64(b, unixOr0(h.Begun))
	b = le.AppendUint64(b, unixOr0(h.Ended))
	b = append(b, h.UUID[:]...)
	b = append(b, h.Boot[:]...)
	b = le.AppendUint64(b, h.Logged)
	return le.AppendUint32(b, h.Last)
}

// parseTail reads a header. What is kept of the output always lies within the file.
func parseTail(b []byte) (TailInfo, error) {
	le := binary.LittleEndian
	if len(b) < tailData || string(b[:8]) != tailMagic {
		return TailInfo{}, errors.New("not a kept console")
	}
	if f, s := le.Uint32(b[8:]), le.Uint32(b[12:]); f != tailFormat || s != TailSize {
		return TailInfo{}, fmt.Errorf("kept console of format %d, %d bytes; want %d, %d", f, s, tailFormat, TailSize)
	}
	h := TailInfo{
		Dom: abi.DomID(le.Uint32(b[16:])), Next: le.Uint32(b[20:]),
		Produced: le.Uint64(b[24:]), Given: le.Uint64(b[32:]),
		Begun: timeOr0(le.Uint64(b[40:])), Ended: timeOr0(le.Uint64(b[48:])),
	}
	copy(h.UUID[:], b[56:])
	copy(h.Boot[:], b[72:])
	h.Given = min(h.Given, h.Produced)
	h.Logged = le.Uint64(b[88:])
	h.Last = uint32(min(uint64(le.Uint32(b[96:])), h.Produced, TailSize))
	return h, nil
}

func unixOr0(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.Unix())
}

func timeOr0(n uint64) time.Time {
	if n == 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0)
}

// tail is a tail that is being written. It is not safe for concurrent use. The file
// is up to date after each call, so that a killed daemon loses nothing of it.
type tail struct {
	f    *os.File
	path string
	TailInfo
	head [tailData]byte // as written last
}

// openTail goes on with the tail of this very domain in dir, or begins one and moves
// those of earlier domains of that name aside. Resumed says which.
func openTail(dir, name string, who TailInfo) (t *tail, resumed bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, fmt.Errorf("keep console: %w", err)
	}
	path := tailPath(dir, name, 0)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		h, err := readTailInfo(f)
		if err == nil && h.Dom == who.Dom && h.UUID == who.UUID && h.Boot == who.Boot {
			h.Ended = time.Time{}
			return &tail{f: f, path: path, TailInfo: h}, true, nil
		}
		f.Close() // only read
	}
	if err := makeWay(dir, name); err != nil {
		return nil, false, err
	}
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, false, fmt.Errorf("keep console: %w", err)
	}
	t = &tail{f: f, path: path, TailInfo: who}
	if err := t.writeHeader(); err != nil {
		return nil, false, errors.Join(err, f.Close())
	}
	return t, false, nil
}

// makeWay moves the tails of the domains called name so far aside, and forgets the
// oldest.
func makeWay(dir, name string) error {
	for n := generations - 1; n > 0; n-- {
		err := os.Rename(tailPath(dir, name, n-1), tailPath(dir, name, n))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("keep console: %w", err)
		}
	}
	return nil
}

func tailPath(dir, name string, n int) string {
	return filepath.Join(dir, fmt.Sprintf("%s.%d", fileName(name), n))
}

func readTailInfo(f io.ReaderAt) (TailInfo, error) {
	b := make([]byte, tailData)
	if _, err := f.ReadAt(b, 0); err != nil {
		return TailInfo{}, fmt.Errorf("read kept console: %w", err)
	}
	return parseTail(b)
}

func (t *tail) writeHeader() error {
	t.append(t.head[:0])
	if _, err := t.f.WriteAt(t.head[:], 0); err != nil {
		return fmt.Errorf("keep console: %w", err)
	}
	return nil
}

// Add keeps p, of which the last byte has index next-1 in the ring, and which will be
// written to a log that has logged bytes now.
func (t *tail) Add(p []byte, next uint32, logged int64) error {
	at := t.Produced
	t.Produced += uint64(len(p))
	t.Next, t.Last, t.Logged = next, uint32(min(len(p), TailSize)), uint64(logged)
	if over := len(p) - TailSize; over > 0 {
		p, at = p[over:], at+uint64(over)
	}
	for len(p) > 0 {
		place := at % TailSize
		n := min(len(p), int(TailSize-place))
		if _, err := t.f.WriteAt(p[:n], tailData+int64(place)); err != nil {
			return fmt.Errorf("keep console: %w", err)
		}
		p, at = p[n:], at+uint64(n)
	}
	return t.writeHeader()
}

// Gave notes that n bytes more went to the terminal, or were dropped on the way.
func (t *tail) Gave(n uint64) error {
	t.Given = min(t.Given+n, t.Produced)
	return t.writeHeader()
}

// Since returns the bytes from number from on that are still kept.
func (t *tail) Since(from uint64) ([]byte, error) {
	b, err := tailBytes(t.f, t.Produced)
	if keep := t.Produced - min(from, t.Produced); uint64(len(b)) > keep {
		b = b[uint64(len(b))-keep:]
	}
	return b, err
}

// Rename goes on under another name.
func (t *tail) Rename(dir, name string) error {
	path := tailPath(dir, name, 0)
	if path == t.path {
		return nil
	}
	mine, err := t.f.Stat()
	if err != nil {
		return fmt.Errorf("keep console: %w", err)
	}
	if there, err := os.Stat(t.path); err != nil || !os.SameFile(mine, there) {
		return fmt.Errorf("keep console under the name %q: another domain was called as this one, and took its file %s", name, t.path)
	}
	if err := makeWay(dir, name); err != nil {
		return err
	}
	if err := os.Rename(t.path, path); err != nil {
		return fmt.Errorf("keep console: %w", err)
	}
	t.path = path
	return nil
}

// End notes that the domain has ended.
func (t *tail) End(now time.Time) error {
	t.Ended = now
	return t.writeHeader()
}

// Close closes the file.
func (t *tail) Close() error { return t.f.Close() }

// tailBytes reads what is kept of produced bytes, oldest first.
func tailBytes(f io.ReaderAt, produced uint64) ([]byte, error) {
	ring := make([]byte, min(produced, TailSize))
	if _, err := io.ReadFull(io.NewSectionReader(f, tailData, TailSize), ring); err != nil {
		return nil, fmt.Errorf("read kept console: %w", err)
	}
	if produced <= TailSize {
		return ring, nil
	}
	b := make([]byte, TailSize)
	copyOut(b, ring, uint32(produced%TailSize))
	return b, nil
}

// ReadTail returns the last output of the domain called name, whether it lives or
// not; back counts domains of that name into the past, 0 for the last one. A name of
// which nothing is kept is os.ErrNotExist.
func ReadTail(dir, name string, back int) (TailInfo, []byte, error) {
	f, err := os.Open(tailPath(dir, name, back))
	if err != nil {
		return TailInfo{}, nil, err
	}
	defer f.Close()
	for range 5 { // while it is being written
		h, err := readTailInfo(f)
		if err != nil {
			return TailInfo{}, nil, err
		}
		b, err := tailBytes(f, h.Produced)
		if err != nil {
			return TailInfo{}, nil, err
		}
		again, err := readTailInfo(f)
		if err != nil || again.Produced == h.Produced {
			return h, b, err
		}
		if over := again.Produced - h.Produced; h.Produced >= TailSize && over < TailSize {
			return h, b[over:], nil // what was written over is the oldest
		}
	}
	return TailInfo{}, nil, fmt.Errorf("read the console kept for %s: it changes all the time", name)
}

// pruneTails removes the tails of domains that are not alive, beyond the maxTails that
// were written to last. Other files in the folder stay.
func pruneTails(dir string, alive func(*TailInfo) bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("keep console: %w", err)
	}
	if len(entries) <= maxTails {
		return nil
	}
	type old struct {
		path string
		at   time.Time
	}
	var dead []old
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if h, err := tailInfoOf(path); err == nil && !alive(&h) {
			dead = append(dead, old{path, info.ModTime()})
		}
	}
	slices.SortFunc(dead, func(a, b old) int { return b.at.Compare(a.at) })
	err = nil
	for _, d := range dead[min(maxTails, len(dead)):] {
		err = errors.Join(err, os.Remove(d.path))
	}
	return err
}

func tailInfoOf(path string) (TailInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return TailInfo{}, err
	}
	defer f.Close()
	return readTailInfo(f)
}
