package main

import (
	"fmt"

	"goxl/domains"
)

// vcpuListHeader is the first line of "xl vcpu-list".
func vcpuListHeader() string {
	return fmt.Sprintf("%-32s %5s %5s %5s %5s %9s %s\n",
		"Name", "ID", "VCPU", "CPU", "State", "Time(s)", "Affinity (Hard / Soft)")
}

// vcpuListLine is the line of one vcpu of domain d on a host with cpus CPUs.
func vcpuListLine(d *domains.Domain, v *domains.VCPU, cpus int) string {
	where := fmt.Sprintf("%5c %3c%cp ", '-', '-', '-')
	if v.Online {
		where = fmt.Sprintf("%5d %3c%c- ", v.CPU, flag(v.Running, 'r'), flag(v.Blocked, 'b'))
	}
	return fmt.Sprintf("%-32s %5d %5d%s%9.1f  %s / %s\n", nameOf(d), d.ID, v.Number, where,
		seconds(uint64(v.Time)), cpuRanges(v.Hard.Test, cpus), cpuRanges(v.Soft.Test, cpus))
}
