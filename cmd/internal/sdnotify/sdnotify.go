// Package sdnotify tells systemd how a service is, where systemd asked for it.
//
//	if err := sdnotify.Send(sdnotify.Ready); err != nil {
//		log.Warn("…", zap.Error(err))
//	}
package sdnotify

import (
	"fmt"
	"net"
	"os"
	"strings"
)

// The states that a service tells. Source: sd_notify(3).
const (
	Ready    = "READY=1"
	Stopping = "STOPPING=1"
)

// Send sends the states to the socket that NOTIFY_SOCKET names; without one it does
// nothing.
func Send(states ...string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(strings.Join(states, "\n"))); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
