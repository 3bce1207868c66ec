package main

// infoEntries are the second part: cpus, schedulers, information, triggers.
var infoEntries = []entry{
	{name: "vcpu-list",
		desc:  "List the VCPUs for all/some domains",
		usage: "[Domain, ...]"},
	{name: "vcpu-pin", dryRun: true, modifies: true,
		desc:  "Set which CPUs a VCPU can use",
		usage: "[option] <Domain> <VCPU|all> <Hard affinity|-|all> <Soft affinity|-|all>",
		options: "-f, --force        undo an override pinning done by the kernel\n" +
			"--ignore-global-affinity-masks Ignore global masks in xl.conf"},
	{name: "vcpu-set", modifies: true,
		desc:    "Set the number of active VCPUs allowed for the domain",
		usage:   "[option] <Domain> <vCPUs>",
		options: "-i, --ignore-host  Don't limit the vCPU based on the host CPU count"},
	{name: "vm-list",
		desc: "List guest domains, excluding dom0, stubdoms, etc."},
	{name: "info",
		desc:  "Get information about Xen host",
		usage: "-n, --numa         List host NUMA topology information"},
	{name: "sharing",
		desc:  "Get information about page sharing",
		usage: "[Domain]"},
	{name: "sched-credit", modifies: true,
		desc:  "Get/set credit scheduler parameters",
		usage: "[-d <Domain> [-w[=WEIGHT]|-c[=CAP]]] [-s [-t TSLICE] [-r RATELIMIT]] [-p CPUPOOL]",
		options: "-d DOMAIN, --domain=DOMAIN        Domain to modify\n" +
			"-w WEIGHT, --weight=WEIGHT        Weight (int)\n" +
			"-c CAP, --cap=CAP                 Cap (int)\n" +
			"-s         --schedparam           Query / modify scheduler parameters\n" +
			"-t TSLICE, --tslice_ms=TSLICE     Set the timeslice, in milliseconds\n" +
			"-r RLIMIT, --ratelimit_us=RLIMIT  Set the scheduling rate limit, in microseconds\n" +
			"-m DLY, --migration_delay_us=DLY  Set the migration delay, in microseconds\n" +
			"-p CPUPOOL, --cpupool=CPUPOOL     Restrict output to CPUPOOL"},
	{name: "sched-credit2", modifies: true,
		desc:  "Get/set credit2 scheduler parameters",
		usage: "[-d <Domain> [-w[=WEIGHT]]] [-p CPUPOOL]",
		options: "-d DOMAIN, --domain=DOMAIN     Domain to modify\n" +
			"-w WEIGHT, --weight=WEIGHT     Weight (int)\n" +
			"-c CAP,    --cap=CAP           Cap (int)\n" +
			"-s         --schedparam        Query / modify scheduler parameters\n" +
			"-r RLIMIT, --ratelimit_us=RLIMIT Set the scheduling rate limit, in microseconds\n" +
			"-p CPUPOOL, --cpupool=CPUPOOL  Restrict output to CPUPOOL"},
	{name: "sched-rtds", modifies: true,
		desc:  "Get/set rtds scheduler parameters",
		usage: "[-d <Domain> [-v[=VCPUID/all]] [-p[=PERIOD]] [-b[=BUDGET]] [-e[=Extratime]]]",
		options: "-d DOMAIN, --domain=DOMAIN     Domain to modify\n" +
			"-v VCPUID/all, --vcpuid=VCPUID/all    VCPU to modify or output;\n" +
			"               Using '-v all' to modify/output all vcpus\n" +
			"-p PERIOD, --period=PERIOD     Period (us)\n" +
			"-b BUDGET, --budget=BUDGET     Budget (us)\n" +
			"-e Extratime, --extratime=Extratime Extratime (1=yes, 0=no)\n"},
	{name: "domid",
		desc:  "Convert a domain name to domain id",
		usage: "<DomainName>"},
	{name: "domname",
		desc:  "Convert a domain id to domain name",
		usage: "<DomainId>"},
	{name: "rename", modifies: true,
		desc:  "Rename a domain",
		usage: "<Domain> <NewDomainName>"},
	{name: "trigger", modifies: true,
		desc:  "Send a trigger to a domain",
		usage: "<Domain> <nmi|reset|init|power|sleep|s3resume> [<VCPU>]"},
	{name: "sysrq", modifies: true,
		desc:  "Send a sysrq to a domain",
		usage: "<Domain> <letter>"},
	{name: "debug-keys", modifies: true,
		desc:  "Send debug keys to Xen",
		usage: "<Keys>"},
	{name: "set-parameters", modifies: true,
		desc:  "Set hypervisor parameters",
		usage: "<Params>"},
	{name: "dmesg",
		desc:    "Read and/or clear dmesg buffer",
		usage:   "[-c]",
		options: "  -c                        Clear dmesg buffer as well as printing it"},
	{name: "top",
		desc: "Monitor a host and the domains in real time"},
}
