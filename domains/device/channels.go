package device

import (
	"path/filepath"
	"slices"
	"strings"

	"goxl/domains/logs"
)

// serverConsoled is the value of ServerKey of a channel that goxl's console daemon
// serves.
const serverConsoled = "consoled"

// LeaveChannels leaves a guest's channels to goxl's console daemon instead of QEMU, if
// it runs and can serve all of them, and reports whether none is left to QEMU. A QEMU
// that the guest has for something else leaves them alone: their type is not its own.
func (s *Set) LeaveChannels(channels ...*Channel) bool {
	if len(channels) == 0 {
		return true
	}
	ways, err := s.Host.ChannelConnections()
	if err != nil { // QEMU serves them as well
		s.Log.Warn("channels are left to QEMU", logs.Error(err))
		return false
	}
	for _, c := range channels {
		if !slices.Contains(ways, c.Connection) || c.BackendDom != s.Self || c.Connection == "socket" && !inRun(c.Path) {
			return false
		}
	}
	for _, c := range channels {
		c.Daemon = true
	}
	return true
}

// inRun reports whether a socket's path is one where the console daemon, which has few
// rights, makes sockets.
func inRun(path string) bool {
	path = filepath.Clean(path)
	return strings.HasPrefix(path, "/run/") || strings.HasPrefix(path, "/var/run/")
}
