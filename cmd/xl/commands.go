package main

// command returns the command called name in the genuine table, or nil when it
// is not done yet. Only the one that runs is built.
func (a *app) command(name string) *command {
	if build := commands(name); build != nil {
		return build(a)
	}
	return nil
}

// commands finds the constructor of a command.
func commands(name string) func(*app) *command {
	switch name {
	case "block-attach":
		return blockAttachCommand
	case "block-detach":
		return blockDetachCommand
	case "block-list":
		return blockListCommand
	case "button-press":
		return buttonPressCommand
	case "channel-list":
		return channelListCommand
	case "claims":
		return claimsCommand
	case "config-update":
		return configUpdateCommand
	case "console":
		return consoleCommand
	case "create":
		return createCommand
	case "debug-keys":
		return debugKeysCommand
	case "destroy":
		return destroyCommand
	case devdVerb:
		return devdCommand
	case "dmesg":
		return dmesgCommand
	case "domid":
		return domidCommand
	case "domname":
		return domnameCommand
	case "dump-core":
		return dumpCoreCommand
	case "info":
		return infoCommand
	case "list":
		return listCommand
	case "mem-max":
		return memMaxCommand
	case "mem-set":
		return memSetCommand
	case "migrate":
		return migrateCommand
	case "migrate-receive":
		return migrateReceiveCommand
	case "network-attach":
		return networkAttachCommand
	case "network-detach":
		return networkDetachCommand
	case "network-list":
		return networkListCommand
	case "pause":
		return pauseCommand
	case "reboot":
		return rebootCommand
	case "rename":
		return renameCommand
	case "restore":
		return restoreCommand
	case "resume":
		return resumeCommand
	case "save":
		return saveCommand
	case "set-parameters":
		return setParametersCommand
	case "sharing":
		return sharingCommand
	case "shutdown":
		return shutdownCommand
	case "suspend":
		return suspendCommand
	case "sysrq":
		return sysrqCommand
	case "top":
		return topCommand
	case "trigger":
		return triggerCommand
	case "unpause":
		return unpauseCommand
	case "uptime":
		return uptimeCommand
	case "vcpu-list":
		return vcpuListCommand
	case "vcpu-pin":
		return vcpuPinCommand
	case "vcpu-set":
		return vcpuSetCommand
	case "vm-list":
		return vmListCommand
	case "vncviewer":
		return vncviewerCommand
	}
	return poolCommands(name)
}

// poolCommands finds the constructor of a command about CPU pools and schedulers.
func poolCommands(name string) func(*app) *command {
	switch name {
	case "cpupool-cpu-add":
		return cpupoolCPUAddCommand
	case "cpupool-cpu-remove":
		return cpupoolCPURemoveCommand
	case "cpupool-destroy":
		return cpupoolDestroyCommand
	case "cpupool-list":
		return cpupoolListCommand
	case "cpupool-migrate":
		return cpupoolMigrateCommand
	case "cpupool-rename":
		return cpupoolRenameCommand
	case "sched-credit":
		return schedCreditCommand
	case "sched-credit2":
		return schedCredit2Command
	case "sched-rtds":
		return schedRTDSCommand
	}
	return nil
}

// ownCommand returns our own verb called name, or nil when there is none.
func (a *app) ownCommand(name string) *command {
	switch name {
	case gcVerb:
		return gcCommand(a)
	case doctorVerb:
		return doctorCommand(a)
	case superviseVerb:
		return superviseCommand(a)
	case vifCaptureVerb:
		return vifCaptureCommand(a)
	case "resume":
		return resumeCommand(a)
	case "suspend":
		return suspendCommand(a)
	case "stream":
		return streamCommand(a)
	}
	return nil
}
