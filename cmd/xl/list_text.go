package main

import (
	"fmt"
	"strings"

	"goxl/domains"
)

// columns says which columns a list of domains has beside the usual ones.
type columns struct {
	verbose bool // UUID, shutdown reason, security label
	context bool // security label
	claims  bool // memory claimed
	pool    bool // name of the cpupool
	nodes   bool // NUMA node affinity
}

// listRow is a line of a list of domains. What no column asks for is not looked
// at.
type listRow struct {
	domains.Domain
	label    string // security label, "" when there is none
	poolName string
	nodes    string // as cpuRanges writes it
}

// listHeader is the first line of a list of domains.
func listHeader(c columns) string {
	var b strings.Builder
	b.WriteString("Name                                        ID   Mem VCPUs\tState\tTime(s)")
	if c.verbose {
		b.WriteString("   UUID                            Reason-Code\tSecurity Label")
	}
	if c.context && !c.verbose {
		b.WriteString("   Security Label")
	}
	if c.claims {
		b.WriteString("  Claimed")
	}
	if c.pool {
		b.WriteString("         Cpupool")
	}
	if c.nodes {
		b.WriteString(" NODE Affinity")
	}
	b.WriteByte('\n')
	return b.String()
}

// listLine is the line of one domain.
func listLine(c columns, r *listRow) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-40s %5d %5d %5d     %s  %8.1f", nameOf(&r.Domain), r.ID,
		uint64(r.Current+r.Outstanding)/1024, r.VCPUsOnline, stateLetters(&r.Domain),
		seconds(uint64(r.CPUTime)))
	if c.verbose {
		fmt.Fprintf(&b, " %s", r.UUID)
		if r.Shutdown {
			fmt.Fprintf(&b, " %8x", uint8(r.Reason))
		} else {
			fmt.Fprintf(&b, " %8s", "-")
		}
	}
	if c.claims {
		fmt.Fprintf(&b, " %5d", uint64(r.Outstanding)/1024)
	}
	if c.verbose || c.context {
		label := r.label
		if label == "" {
			label = "-"
		}
		fmt.Fprintf(&b, " %16s", label)
	}
	if c.pool {
		fmt.Fprintf(&b, "%16s", orNull(r.poolName))
	}
	if c.nodes {
		b.WriteString(" " + r.nodes)
	}
	b.WriteByte('\n')
	return b.String()
}

// nameOf is a domain's name as lists show it.
func nameOf(d *domains.Domain) string {
	if !d.Named {
		return "(null)"
	}
	return d.Name
}

// stateLetters are the six columns of a domain's state: running, blocked,
// paused, shut down, why, dying.
func stateLetters(d *domains.Domain) string {
	const reasons = "-rscwS"
	why := byte('-')
	if d.Shutdown {
		why = '?'
		if int(d.Reason) < len(reasons) {
			why = reasons[d.Reason]
		}
	}
	return string([]byte{flag(d.Running, 'r'), flag(d.Blocked, 'b'), flag(d.Paused, 'p'),
		flag(d.Shutdown, 's'), why, flag(d.Dying, 'd')})
}

// sharingHeader and sharingLine are the list of "xl sharing".
const sharingHeader = "Name                                        ID   Mem Shared\n"

func sharingLine(d *domains.Domain) string {
	return fmt.Sprintf("%-40s %5d %5d  %5d\n", nameOf(d), d.ID,
		uint64(d.Current+d.Outstanding)/1024, uint64(d.Shared)/1024)
}

// vmListHeader and vmListLine are the list of "xl vm-list".
const vmListHeader = "UUID                                  ID    name\n"

func vmListLine(d *domains.Domain) string {
	return fmt.Sprintf("%s  %d    %-30s\n", d.UUID, d.ID, nameOf(d))
}
