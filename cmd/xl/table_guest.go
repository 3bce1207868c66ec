package main

// guestEntries are the first part of the table: the life of a domain.
var guestEntries = []entry{
	{name: "create", dryRun: true, modifies: true, until: 16,
		desc:  "Create a domain from config file <filename>",
		usage: "<ConfigFile> [options] [vars]",
		options: "-h                      Print this help.\n" +
			"-p                      Leave the domain paused after it is created.\n" +
			"-c                      Connect to the console after the domain is created.\n" +
			"-f FILE, --defconfig=FILE\n" +
			"                     Use the given configuration file.\n" +
			"-q, --quiet             Quiet.\n" +
			"-n, --dryrun            Dry run - prints the resulting configuration\n" +
			"                         (deprecated in favour of global -N option).\n" +
			"-d                      Enable debug messages.\n" +
			"-F                      Run in foreground until death of the domain.\n" +
			"-e                      Do not wait in the background for the death of the domain.\n" +
			"-V, --vncviewer         Connect to the VNC display after the domain is created.\n" +
			"-A, --vncviewer-autopass\n" +
			"                        Pass VNC password to viewer via stdin.\n" +
			"--ignore-global-affinity-masks Ignore global masks in xl.conf."},
	{name: "create", dryRun: true, modifies: true, since: 17,
		desc:  "Create a domain from config file <filename>",
		usage: "<ConfigFile> [options] [vars]",
		options: "-c                      Connect to the console after the domain is created.\n" +
			"-d                      Enable debug messages.\n" +
			"-e                      Do not wait in the background for the death of the domain.\n" +
			"-F                      Run in foreground until death of the domain.\n" +
			"-f FILE, --defconfig=FILE\n" +
			"                     Use the given configuration file.\n" +
			"-h                      Print this help.\n" +
			"-n, --dryrun            Dry run - prints the resulting configuration\n" +
			"                         (deprecated in favour of global -N option).\n" +
			"-p                      Leave the domain paused after it is created.\n" +
			"-q, --quiet             Quiet.\n" +
			"-V, --vncviewer         Connect to the VNC display after the domain is created.\n" +
			"-A, --vncviewer-autopass\n" +
			"                        Pass VNC password to viewer via stdin.\n" +
			"--ignore-global-affinity-masks Ignore global masks in xl.conf."},
	{name: "config-update", dryRun: true, modifies: true,
		desc: "Update a running domain's saved configuration, used when rebuilding the domain after reboot.\n" +
			"WARNING: xl now has better capability to manage domain configuration, avoid using this command when possible",
		usage: "<Domain> <ConfigFile> [options] [vars]",
		options: "-h                      Print this help.\n" +
			"-f FILE, --defconfig=FILE\n" +
			"                     Use the given configuration file.\n" +
			"-d                      Enable debug messages.\n"},
	{name: "list",
		desc:  "List information about all/some domains",
		usage: "[options] [Domain]\n",
		options: "-l, --long              Output all VM details\n" +
			"-v, --verbose           Prints out UUIDs and security context\n" +
			"-Z, --context           Prints out security context\n" +
			"-c, --cpupool           Prints the cpupool the domain is in\n" +
			"-n, --numa              Prints out NUMA node affinity"},
	{name: "destroy", modifies: true,
		desc:  "Terminate a domain immediately",
		usage: "[options] <Domain>\n",
		options: "-f                      Permit destroying domain 0, which will only succeed\n" +
			"                        when run from disaggregated toolstack domain with a\n" +
			"                        hardware domain distinct from domain 0."},
	{name: "shutdown", modifies: true,
		desc:  "Issue a shutdown signal to a domain",
		usage: "[options] <-a|Domain>",
		options: "-a, --all               Shutdown all guest domains.\n" +
			"-h                      Print this help.\n" +
			"-F                      Fallback to ACPI power event for HVM guests with\n" +
			"                        no PV drivers.\n" +
			"-w, --wait              Wait for guest(s) to shutdown.\n"},
	{name: "reboot", modifies: true,
		desc:  "Issue a reboot signal to a domain",
		usage: "[options] <-a|Domain>",
		options: "-a, --all               Shutdown all guest domains.\n" +
			"-h                      Print this help.\n" +
			"-F                      Fallback to ACPI reset event for HVM guests with\n" +
			"                        no PV drivers.\n" +
			"-w, --wait              Wait for guest(s) to reboot.\n"},
	{name: "pci-attach", modifies: true, until: 14,
		desc:  "Insert a new pass-through pci device",
		usage: "<Domain> <BDF> [Virtual Slot]"},
	{name: "pci-attach", modifies: true, since: 15,
		desc:  "Insert a new pass-through pci device",
		usage: "<Domain> <PCI_SPEC_STRING>"},
	{name: "pci-detach", modifies: true, until: 14,
		desc:  "Remove a domain's pass-through pci device",
		usage: "<Domain> <BDF>"},
	{name: "pci-detach", modifies: true, since: 15,
		desc:  "Remove a domain's pass-through pci device",
		usage: "<Domain> <PCI_SPEC_STRING>"},
	{name: "pci-list",
		desc:  "List pass-through pci devices for a domain",
		usage: "<Domain>"},
	{name: "pci-assignable-add", modifies: true, until: 14,
		desc:    "Make a device assignable for pci-passthru",
		usage:   "<BDF>",
		options: "-h                      Print this help.\n"},
	{name: "pci-assignable-add", modifies: true, since: 15,
		desc:  "Make a device assignable for pci-passthru",
		usage: "[options] <BDF>",
		options: "-n NAME, --name=NAME    Name the assignable device.\n" +
			"-h                      Print this help.\n"},
	{name: "pci-assignable-remove", modifies: true, until: 14,
		desc:  "Remove a device from being assignable",
		usage: "[options] <BDF>",
		options: "-h                      Print this help.\n" +
			"-r                      Attempt to re-assign the device to the\n" +
			"                        original driver"},
	{name: "pci-assignable-remove", modifies: true, since: 15,
		desc:  "Remove a device from being assignable",
		usage: "[options] <BDF>|NAME",
		options: "-h                      Print this help.\n" +
			"-r                      Attempt to re-assign the device to the\n" +
			"                        original driver."},
	{name: "pci-assignable-list", until: 14,
		desc: "List all the assignable pci devices"},
	{name: "pci-assignable-list", since: 15,
		desc:  "List all the assignable pci devices",
		usage: "[options]",
		options: "-h                      Print this help.\n" +
			"-n, --show-names        Display assignable device names where\n" +
			"                        supplied.\n"},
	{name: "pause", modifies: true,
		desc:  "Pause execution of a domain",
		usage: "<Domain>"},
	{name: "unpause", modifies: true,
		desc:  "Unpause a paused domain",
		usage: "<Domain>"},
	{name: "console", until: 17,
		desc: "Attach to domain's console",
		usage: "[options] <Domain>\n" +
			"-t <type>       console type, pv , serial or vuart\n" +
			"-n <number>     console number"},
	{name: "console", since: 18,
		desc: "Attach to domain's console",
		usage: "[options] <Domain>\n" +
			"-t <type>       console type, pv , serial or vuart\n" +
			"-n <number>     console number\n" +
			"-e <escape>     escape character"},
	{name: "vncviewer",
		desc: "Attach to domain's VNC server.",
		usage: "[options] <Domain>\n" +
			"--autopass               Pass VNC password to viewer via stdin and\n" +
			"                         -autopass\n" +
			"--vncviewer-autopass     (consistency alias for --autopass)"},
	{name: "save", modifies: true, until: 14,
		desc:  "Save a domain state to restore later",
		usage: "[options] <Domain> <CheckpointFile> [<ConfigFile>]",
		options: "-h  Print this help.\n" +
			"-c  Leave domain running after creating the snapshot.\n" +
			"-p  Leave domain paused after creating the snapshot.\n" +
			"-D  Store the domain id in the configration."},
	{name: "save", modifies: true, since: 15,
		desc:  "Save a domain state to restore later",
		usage: "[options] <Domain> <CheckpointFile> [<ConfigFile>]",
		options: "-h  Print this help.\n" +
			"-c  Leave domain running after creating the snapshot.\n" +
			"-p  Leave domain paused after creating the snapshot.\n" +
			"-D  Store the domain id in the configuration."},
	{name: "migrate", modifies: true,
		desc:  "Migrate a domain to another host",
		usage: "[options] <Domain> <host>",
		options: "-h              Print this help.\n" +
			"-C <config>     Send <config> instead of config file from creation.\n" +
			"-s <sshcommand> Use <sshcommand> instead of ssh.  String will be passed\n" +
			"                to sh. If empty, run <host> instead of ssh <host> xl\n" +
			"                migrate-receive [-d -e]\n" +
			"-e              Do not wait in the background (on <host>) for the death\n" +
			"                of the domain.\n" +
			"--debug         Print huge (!) amount of debug during the migration process.\n" +
			"-p              Do not unpause domain after migrating it.\n" +
			"-D              Preserve the domain id"},
	{name: "restore", modifies: true,
		desc:  "Restore a domain from a saved state",
		usage: "[options] [<ConfigFile>] <CheckpointFile>",
		options: "-h                       Print this help.\n" +
			"-p                       Do not unpause domain after restoring it.\n" +
			"-e                       Do not wait in the background for the death of the domain.\n" +
			"-d                       Enable debug messages.\n" +
			"-V, --vncviewer          Connect to the VNC display after the domain is created.\n" +
			"-A, --vncviewer-autopass Pass VNC password to viewer via stdin."},
	{name: "migrate-receive", modifies: true,
		desc:  "Restore a domain from a saved state",
		usage: "- for internal use only"},
	{name: "suspend", modifies: true, since: 20,
		desc:  "Suspend a domain to RAM",
		usage: "<Domain>"},
	{name: "resume", modifies: true, since: 20,
		desc:  "Resume a domain from RAM",
		usage: "<Domain>"},
	{name: "dump-core", modifies: true,
		desc:  "Core dump a domain",
		usage: "<Domain> <filename>"},
	{name: "cd-insert", dryRun: true, modifies: true,
		desc:  "Insert a cdrom into a guest's cd drive",
		usage: "<Domain> <VirtualDevice> <path>"},
	{name: "cd-eject", dryRun: true, modifies: true,
		desc:  "Eject a cdrom from a guest's cd drive",
		usage: "<Domain> <VirtualDevice>"},
	{name: "mem-max", modifies: true,
		desc:  "Set the maximum amount reservation for a domain",
		usage: "<Domain> <MemMB['b'[bytes]|'k'[KB]|'m'[MB]|'g'[GB]|'t'[TB]]>"},
	{name: "mem-set", modifies: true,
		desc:  "Set the current memory usage for a domain",
		usage: "<Domain> <MemMB['b'[bytes]|'k'[KB]|'m'[MB]|'g'[GB]|'t'[TB]]>"},
	{name: "button-press", modifies: true,
		desc:    "Indicate an ACPI button press to the domain",
		usage:   "<Domain> <Button>",
		options: "<Button> may be 'power' or 'sleep'."},
}
