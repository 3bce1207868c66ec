package offer

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"goxl/migrate"
	"goxl/xenctrl/abi"
)

// The names of a guest on its way, behind its own.
const (
	incoming = "--incoming"
	away     = "--migratedaway"
)

// CopyOf is what an answer means for the guest called name, which is suspended here
// as domain id on a host that was booted as boot; and that in words.
func CopyOf(a *Answer, name, boot string, id abi.DomID) (migrate.Copy, string) {
	for _, h := range a.Holds {
		switch {
		case strings.HasSuffix(h.Name, away), boot != "" && boot == a.Boot && h.ID == id:
			continue // the copy that is asked about, on one and the same host, or another such
		case strings.HasSuffix(h.Name, incoming):
			return migrate.CopyWaits, fmt.Sprintf("domain %d there, %s, waits for permission that it will not get: destroy it there, then try again", h.ID, printable(h.Name))
		case h.Paused && !h.Shutdown:
			return migrate.CopyWaits, fmt.Sprintf("domain %d there, %s, is whole and paused: unpause or destroy it there, then try again", h.ID, printable(h.Name))
		}
		return migrate.CopyRuns, fmt.Sprintf("as domain %d, %s", h.ID, printable(h.Name))
	}
	if !a.Started.IsZero() {
		return migrate.CopyEnded, fmt.Sprintf("it was started there at %s and has ended since; to run it from here all the same, with its disks as they are now, use --peer-dead",
			a.Started.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	return migrate.CopyNone, "nothing of it is there"
}

// listedForm is a line of "xl list -v": a name, which may hold blanks, then id, memory,
// vcpus, state, time and UUID.
const listedForm = `^(.*?)\s+(\d+)\s+\d+\s+\d+\s+([r-][b-][p-][s-][c-][d-])\s+[\d.]+\s+([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b`

// ParseList finds the domains with a UUID in what "xl list -v" prints. What is no such
// list is an error: it must not be taken for one without the guest.
func ParseList(text, uuid string) (holds []Holding, err error) {
	known, listed := false, regexp.MustCompile(listedForm)
	for line := range strings.Lines(text) {
		m := listed.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		known = true // domain 0 at least
		if m[4] != uuid || m[3][5] == 'd' {
			continue
		}
		id, err := strconv.ParseUint(m[2], 10, 16)
		if err != nil {
			return nil, err
		}
		holds = append(holds, Holding{ID: abi.DomID(id), Name: m[1], Paused: m[3][2] == 'p', Shutdown: m[3][3] == 's'})
	}
	if !known {
		return nil, fmt.Errorf("%w, nor a list of domains", ErrNotOurs)
	}
	return holds, nil
}
