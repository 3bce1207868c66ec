package together

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"goxl/xenstore"
)

// watched are the roots of everything that a toolstack writes about guests.
var watched = []string{"/local/domain", "/libxl", "/vm", "@introduceDomain", "@releaseDomain"}

// recorder is a watcher of xenstore as a daemon or a management tool would be.
type recorder struct {
	store  *xenstore.Client
	watch  *xenstore.Watch
	chance *regexp.Regexp
	ids    []string // the domains of the story, in the order in which they appeared
}

// phase is what a watcher has seen of one operation.
type phase struct {
	Order []string // what the toolstack's nodes were, each where it first appeared
	Rest  []string // nodes first written by kernel and daemons, which go their own pace
	Tree  []string // all nodes afterwards: path, permissions, value
}

// newRecorder starts to watch. What was there before is not of interest.
func newRecorder(t *testing.T, kind string) *recorder {
	t.Helper()
	ctx := t.Context()
	store, err := xenstore.Dial(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w, err := store.Watch(ctx, watched[0])
	for _, p := range watched[1:] {
		if err == nil {
			err = w.Add(ctx, p)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	r := &recorder{store: store, watch: w, chance: chance[kind]}
	r.events(t) // each watch fires once when it is set
	return r
}

// quiet is how long nothing may happen before an operation counts as over.
const quiet = 1500 * time.Millisecond

// events returns what was seen until all is quiet.
func (r *recorder) events(t *testing.T) []string {
	t.Helper()
	var all []string
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); {
		select {
		case e, ok := <-r.watch.Events():
			if !ok {
				t.Fatalf("the watch ended: %v", r.watch.Err())
			}
			all = append(all, e.Path)
		case <-time.After(quiet):
			return all
		}
	}
	t.Fatal("xenstore does not become quiet")
	return nil
}

// record takes down an operation.
func (r *recorder) record(t *testing.T, do func()) phase {
	t.Helper()
	do()
	var p phase
	seen := map[string]bool{}
	for _, at := range r.events(t) {
		at = r.steady(at)
		if at == "" || seen[at] {
			continue
		}
		seen[at] = true
		if byOthers.MatchString(at) {
			p.Rest = append(p.Rest, at)
		} else {
			p.Order = append(p.Order, at)
		}
	}
	slices.Sort(p.Rest)
	p.Tree = r.tree(t)
	return p
}

// byOthers are the nodes that kernel backends add to a device.
var byOthers = regexp.MustCompile(`^/local/domain/0/backend/(vbd|vif)/#\d/\d+/` +
	`(feature-.*|sectors|sector-size|physical-sector-size|info|max-ring-page-order|multi-queue-max-queues|discard-.*)$`)

// aboutGuest matches a path below what belongs to one guest.
var aboutGuest = regexp.MustCompile(`^(/local/domain/0/backend/\w+/|/local/domain/|/libxl/)([1-9]\d*)(/.*)?$`)

// steady replaces the domain id in a path by its number in the story; "" for a path
// that is about no guest.
func (r *recorder) steady(at string) string {
	if m := aboutGuest.FindStringSubmatch(at); m != nil {
		return m[1] + r.number(m[2]) + m[3]
	}
	if strings.HasPrefix(at, "/vm/") || strings.HasPrefix(at, "@") { // the story fixes the uuid
		return at
	}
	return ""
}

// number is how a domain is called in what is compared.
func (r *recorder) number(id string) string {
	i := slices.Index(r.ids, id)
	if i < 0 {
		i = len(r.ids)
		r.ids = append(r.ids, id)
	}
	return "#" + strconv.Itoa(i+1)
}

// tree returns every node about the guests of the story.
func (r *recorder) tree(t *testing.T) []string {
	t.Helper()
	var all []string
	roots := []string{"/vm"}
	for _, id := range r.ids {
		roots = append(roots, "/local/domain/"+id, "/libxl/"+id)
		for _, kind := range []string{"vbd", "vif", "console"} {
			roots = append(roots, "/local/domain/0/backend/"+kind+"/"+id)
		}
	}
	for _, root := range roots {
		if err := r.walk(t.Context(), root, func(line string) { all = append(all, line) }); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(all)
	return all
}

// walk describes the node and all below it. One that is gone is none.
func (r *recorder) walk(ctx context.Context, at string, found func(string)) error {
	value, err := r.store.Read(ctx, at)
	if errors.Is(err, xenstore.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	perms, err := r.store.Perms(ctx, at)
	if err != nil {
		return err
	}
	var who []string
	for _, p := range perms {
		dom := strconv.Itoa(int(p.Dom))
		if p.Dom != 0 {
			dom = r.number(dom)
		}
		who = append(who, p.String()[:1]+dom)
	}
	names, err := r.store.List(ctx, at)
	if err != nil {
		return err
	}
	if at != "/vm" {
		found(fmt.Sprintf("%s (%s) = %q", r.steady(at), strings.Join(who, ","), r.value(at, value)))
	}
	for _, n := range names {
		if err := r.walk(ctx, path.Join(at, n), found); err != nil {
			return err
		}
	}
	return nil
}

// chance are the nodes of each kind of guest whose values nobody chooses: the time, the
// next free terminal and loop device, and a PV guest's machine frames.
var chance = map[string]*regexp.Regexp{
	"pvh": regexp.MustCompile(`/(start_time|tty|node|physical-device|physical-device-path)$`),
	"pv":  regexp.MustCompile(`/(start_time|tty|node|physical-device|physical-device-path|ring-ref)$`),
}

// value is a node's value without chance and with the story's numbers for domains.
func (r *recorder) value(at, v string) string {
	switch name := path.Base(at); {
	case r.chance.MatchString(at):
		return regexp.MustCompile(`[0-9a-f]+`).ReplaceAllString(v, "N")
	case name == "frontend-id" || name == "domid":
		return r.number(v)
	case strings.HasPrefix(v, "/"):
		return r.steady(v)
	}
	return v
}
