package main

import (
	"fmt"

	"goxl/domains"
	"goxl/xenctrl/abi"
)

// schedulerName is a scheduler as texts name it.
func schedulerName(id uint32) string {
	switch id {
	case abi.SchedCredit:
		return "credit"
	case abi.SchedCredit2:
		return "credit2"
	case abi.SchedARINC653:
		return "arinc653"
	case abi.SchedRTDS:
		return "rtds"
	case abi.SchedNull:
		return "null"
	case 4: // a number that Xen no longer gives out
		return "sedf"
	}
	return "unknown"
}

// schedPoolLine is the line above a pool's domains; p is nil when the pool's
// parameters could not be read.
func schedPoolLine(sched uint32, pool string, p *abi.PoolSchedParams) string {
	switch {
	case sched == abi.SchedRTDS:
		return fmt.Sprintf("Cpupool %s: sched=RTDS\n", pool)
	case p == nil:
		return fmt.Sprintf("Cpupool %s: [sched params unavailable]\n", pool)
	case sched == abi.SchedCredit2:
		return fmt.Sprintf("Cpupool %s: ratelimit=%dus\n", pool, p.RatelimitUS)
	}
	return fmt.Sprintf("Cpupool %s: tslice=%dms ratelimit=%dus migration-delay=%dus\n",
		pool, p.TimesliceMS, p.RatelimitUS, p.MigrDelayUS)
}

// schedHeader and schedLine are the list of domains of sched-credit,
// sched-credit2 and sched-rtds.
func schedHeader(sched uint32) string {
	if sched == abi.SchedRTDS {
		return fmt.Sprintf("%-33s %4s %9s %9s %10s\n", "Name", "ID", "Period", "Budget", "Extratime")
	}
	return fmt.Sprintf("%-33s %4s %6s %4s\n", "Name", "ID", "Weight", "Cap")
}

func schedLine(sched uint32, d *domains.Domain, p abi.SchedParams) string {
	if sched == abi.SchedRTDS {
		return fmt.Sprintf("%-33s %4d %9d %9d %10s\n", nameOf(d), d.ID, p.Period, p.Budget, extratime(p))
	}
	return fmt.Sprintf("%-33s %4d %6d %4d\n", nameOf(d), d.ID, p.Weight, p.Cap)
}

// schedVCPUHeader and schedVCPULine are the list of sched-rtds -v.
func schedVCPUHeader() string {
	return fmt.Sprintf("%-33s %4s %4s %9s %9s %10s\n", "Name", "ID", "VCPU", "Period", "Budget", "Extratime")
}

func schedVCPULine(d *domains.Domain, vcpu int, p abi.SchedParams) string {
	return fmt.Sprintf("%-33s %4d %4d %9d %9d %10s\n", nameOf(d), d.ID, vcpu, p.Period, p.Budget, extratime(p))
}

func extratime(p abi.SchedParams) string {
	if p.Flags&abi.RTDSExtratime != 0 {
		return "yes"
	}
	return "no"
}
