package doctor

import (
	"context"
	"fmt"
	"strings"

	"goxl/domains"
	"goxl/domains/supervise"
)

// guests looks for domains that wait for a decision, or cannot be told apart.
func guests(ctx context.Context, m *domains.Manager) ([]Finding, error) {
	all, err := m.List(ctx)
	if err != nil {
		return nil, err
	}
	var list []Finding
	named := map[string]domains.Domain{}
	for _, d := range all {
		if d.ID == 0 {
			continue
		}
		if f, ok := undecided(&d); ok {
			list = append(list, f)
		}
		if other, twice := named[d.Name]; twice && d.Named {
			list = append(list, Finding{Trouble, "", fmt.Sprintf("domains %d and %d are both called %s", other.ID, d.ID, d.Name), fmt.Sprintf("xl rename %d ANOTHER", d.ID)})
		}
		named[d.Name] = d
	}
	return orFine(list, "%d, and none waits for a decision", len(all)-1), nil
}

// undecided says what is to be decided about a domain.
func undecided(d *domains.Domain) (f Finding, is bool) {
	who := fmt.Sprintf("domain %d", d.ID)
	if d.Named {
		who += " (" + d.Name + ")"
	}
	switch {
	case d.Dying:
		return Finding{Note, "", fmt.Sprintf("%s is being destroyed and still holds %d KiB", who, d.Current),
			"if it stays so, a process or a backend has its pages mapped: look for its QEMU and its devices in xl block-list and network-list"}, true
	case !d.Named:
		return Finding{Trouble, "", who + " has no name: it is half built, or half destroyed", fmt.Sprintf("xl gc --dry-run; if that does not know it and no tool is at work on it, xl destroy %d", d.ID)}, true
	case strings.HasSuffix(d.Name, "--migratedaway"):
		return Finding{Trouble, "", who + " was sent to another host, which has not said that it runs there", fmt.Sprintf("xl migrate --resolve %d HOST", d.ID)}, true
	case strings.HasSuffix(d.Name, "--incoming"):
		return Finding{Note, "", who + " is arriving from another host", "if no migration is under way: it is incomplete, xl destroy it"}, true
	case d.Shutdown && d.Reason == domains.Suspend:
		return Finding{Note, "", who + " is suspended", fmt.Sprintf("if nobody saves or moves it: xl resume %d", d.ID)}, true
	case d.Shutdown:
		return Finding{Note, "", fmt.Sprintf("%s has ended (%s) and still holds %d KiB", who, reason(d.Reason), d.Current),
			fmt.Sprintf("if its configuration does not say preserve: nobody follows its end; xl destroy %d", d.ID)}, true
	}
	return Finding{}, false
}

func reason(r domains.Reason) string {
	switch r {
	case domains.Poweroff:
		return "poweroff"
	case domains.Reboot:
		return "reboot"
	case domains.Crash:
		return "crash"
	case domains.Watchdog:
		return "watchdog"
	case domains.SoftReset:
		return "soft reset"
	}
	return fmt.Sprintf("reason %d", r)
}

// supervisor looks whether somebody follows the ends of the guests that are to be
// followed.
func supervisor(_ context.Context, m *domains.Manager) ([]Finding, error) {
	n, err := supervise.Orphans(m.Paths().Own)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		return []Finding{{Trouble, "", fmt.Sprintf("%d guests are to be followed, and no supervisor runs", n), "any other command of xl starts it; look into " + m.Paths().Own + "/supervisor.log"}}, nil
	}
	return fine("no guest lacks it"), nil
}

// cutShort looks for what killed commands have left.
func cutShort(ctx context.Context, m *domains.Manager) ([]Finding, error) {
	left, err := m.Collect(ctx, domains.CollectOptions{DryRun: true})
	var list []Finding
	for i := range left {
		l := &left[i]
		if l.Kept == "" && len(l.Found) > 0 {
			list = append(list, Finding{Trouble, "", fmt.Sprintf("a creation of %s left %s", l.Name, strings.Join(l.Found, ", ")), "xl gc"})
		}
	}
	return orFine(list, "none has left anything"), err
}
