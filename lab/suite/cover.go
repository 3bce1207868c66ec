package suite

import (
	"slices"
	"strings"

	"goxl/lab"
)

// perRelease are the packages whose behaviour follows the release of Xen or its
// tools: their tests run on all of them. What the others do depends on dom0's
// kernel and files, so that one release shows it.
var perRelease = []string{"cmd/xl", "domains", "domains/build", "examples", "lab/interop", "lab/units", "xenctrl", "xenctrl/evtchn", "xenctrl/gnttab"}

// perDaemon are the packages whose behaviour follows the xenstore daemon.
var perDaemon = []string{"cmd/xenstore", "xenstore", "xenstore/server"}

// pairs are the packages whose tests need a second host.
var pairs = []string{"lab/move"}

// peers are the releases that a target's second host has, one after the other: its
// own, which in the cover only the release has that everything is tried on, and the
// next one.
func (r *runner) peers(t Target) (list []lab.Release) {
	all := []lab.Release{lab.Xen414, lab.Xen417, lab.Xen420}
	i := slices.Index(all, t.Release)
	if i < 0 {
		return nil
	}
	for _, peer := range all[i:min(i+2, len(all))] {
		if peer == t.Release && peer != lab.Xen417 && !r.Full && len(r.Peers) == 0 {
			continue
		}
		if len(r.Peers) == 0 || slices.Contains(r.Peers, peer.Xen) {
			list = append(list, peer)
		}
	}
	return list
}

// wanted reports whether a package's tests run on a target: all on the release
// that everything is tried on, and wherever the caller chose packages or the
// whole matrix; else what may differ there.
func (r *runner) wanted(t Target, p Package) bool {
	switch {
	case r.Full || t.Release.Xen == lab.Xen417.Xen || strings.Join(r.Packages, " ") != allPackages:
		return true
	case slices.Contains(perDaemon, p.Dir):
		return t.Store == "xenstored"
	}
	return slices.Contains(perRelease, p.Dir) || slices.Contains(pairs, p.Dir)
}
