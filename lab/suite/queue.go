package suite

import (
	"cmp"
	"context"
	"slices"
	"sync"
)

// longest are the packages whose tests take minutes on a host, longest first. They
// are begun first, so that no host is left alone with one in the end.
var longest = []string{
	"lab/interop", "lab/together", "domains/device", "cmd/xl", "blkback", "netback", "domains", "domains/build",
	"backends/console", "cmd/xenstore", "migrate/stream", "examples",
}

// queue hands the packages of a target to the hosts that share them.
type queue struct {
	mu   sync.Mutex
	left []Package
}

func newQueue(packages []Package) *queue {
	place := func(p Package) int {
		if i := slices.Index(longest, p.Dir); i >= 0 {
			return i
		}
		return len(longest)
	}
	return &queue{left: slices.SortedStableFunc(slices.Values(packages), func(a, b Package) int {
		return cmp.Compare(place(a), place(b))
	})}
}

// next takes the next package; ok is false when there is none.
func (q *queue) next() (p Package, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.left) == 0 {
		return Package{}, false
	}
	p, q.left = q.left[0], q.left[1:]
	return p, true
}

// jobs are what is done with one host, or with two beside each other, in the order
// in which it is begun.
func (r *runner) jobs() (all []func(context.Context)) {
	for _, t := range r.Targets {
		q := newQueue(r.packagesOf(t))
		for range max(t.Hosts, 1) {
			all = append(all, func(ctx context.Context) { r.onHosts(ctx, t, q) })
		}
	}
	for _, t := range r.Targets {
		for _, p := range r.tests {
			if !slices.Contains(pairs, p.Dir) || !r.wanted(t, p) {
				continue
			}
			for _, peer := range r.peers(t) {
				beside := t
				beside.Peer = peer
				all = append(all, func(ctx context.Context) { r.onPair(ctx, beside, p) })
			}
		}
	}
	return all
}

// packagesOf are those that run on a host of the target's by itself.
func (r *runner) packagesOf(t Target) (list []Package) {
	for _, p := range r.tests {
		if r.wanted(t, p) && !slices.Contains(pairs, p.Dir) {
			list = append(list, p)
		}
	}
	return list
}
