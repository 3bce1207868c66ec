package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"goxl/xenctrl/abi"
)

// DomIDReuse is how long a domain id rests before it names another domain.
const DomIDReuse = 60 * time.Second // LIBXL_DOMID_REUSE_TIMEOUT

// DomID names a domain.
type DomID = abi.DomID

// domid-history holds lines "<seconds of the monotonic clock> <domid>".
type historyEntry struct {
	sec uint64
	dom DomID
}

// MarkRecent notes that domain id dom was in use until now. The genuine tool
// reads the same file. Reuse is how long entries count; DomIDReuse is usual.
func (h *Host) MarkRecent(ctx context.Context, dom DomID, reuse time.Duration) error {
	path := h.historyPath()
	lock, err := h.Lock(ctx, path+".lock")
	if err != nil {
		return fmt.Errorf("note domain id %d: %w", dom, err)
	}
	defer lock.Unlock()
	now, err := monotonicSeconds()
	if err != nil {
		return err
	}
	entries, err := h.readHistory(path, now, reuse)
	if err != nil {
		return fmt.Errorf("note domain id %d: %w", dom, err)
	}
	var text []byte
	for _, e := range append(entries, historyEntry{now, dom}) {
		text = fmt.Appendf(text, "%d %d\n", e.sec, e.dom)
	}
	err = h.WriteFile(path+".new", text, 0o644)
	if err == nil {
		err = h.Rename(path+".new", path)
	}
	if err != nil {
		h.Remove(path + ".new") // or the next one replaces it
		return fmt.Errorf("note domain id %d: %w", dom, err)
	}
	return nil
}

// IsRecent reports whether domain id dom was in use less than reuse ago.
func (h *Host) IsRecent(dom DomID, reuse time.Duration) (bool, error) {
	now, err := monotonicSeconds()
	if err != nil {
		return false, err
	}
	entries, err := h.readHistory(h.historyPath(), now, reuse)
	for _, e := range entries {
		if e.dom == dom {
			return true, nil
		}
	}
	return false, err
}

func (h *Host) historyPath() string { return filepath.Join(h.Run, "domid-history") }

// readHistory returns the entries not older than reuse; those that make no sense
// do not count.
func (h *Host) readHistory(path string, now uint64, reuse time.Duration) ([]historyEntry, error) {
	f, err := h.OpenFile(path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parseHistory(io.LimitReader(f, 1<<20), now, reuse)
}

func parseHistory(r io.Reader, now uint64, reuse time.Duration) ([]historyEntry, error) {
	var entries []historyEntry
	s := bufio.NewScanner(r)
	s.Split(bufio.ScanWords)
	for s.Scan() {
		sec, err1 := strconv.ParseUint(s.Text(), 10, 63)
		if !s.Scan() {
			break
		}
		dom, err2 := strconv.ParseUint(s.Text(), 10, 16)
		if err1 != nil || err2 != nil || dom == 0 || DomID(dom) >= abi.DomFirstReserved || sec > now {
			continue
		}
		if now-sec <= uint64(reuse/time.Second) {
			entries = append(entries, historyEntry{sec, DomID(dom)})
		}
	}
	return entries, s.Err()
}
