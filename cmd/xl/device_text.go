package main

import (
	"fmt"

	"goxl/domains/device"
)

// blockListHeader and blockListLine are the list of "xl block-list".
func blockListHeader() string {
	return fmt.Sprintf("%-5s %-3s %-6s %-5s %-6s %-8s %-30s\n",
		"Vdev", "BE", "handle", "state", "evt-ch", "ring-ref", "BE-path")
}

func blockListLine(l *device.Link) string {
	return fmt.Sprintf("%-5d %-3d %-6d %-5d %-6d %-8d %-30s\n",
		l.ID, l.Backend, l.Dom, l.State, l.EvtChn, l.RingRef, l.BackendPath())
}

// networkListHeader and networkListLine are the list of "xl network-list".
func networkListHeader() string {
	return fmt.Sprintf("%-3s %-2s %-17s %-6s %-5s %-6s %5s/%-5s %-30s\n",
		"Idx", "BE", "Mac Addr.", "handle", "state", "evt-ch", "tx-", "rx-ring-ref", "BE-path")
}

func networkListLine(l *device.Link, mac device.MAC) string {
	return fmt.Sprintf("%-3d %-2d %s%6d %5d %6d %5d/%-11d %-30s\n",
		l.ID, l.Backend, mac, l.ID, l.State, l.EvtChn, l.RingRef, l.RxRef, l.BackendPath())
}

// channelListHeader and channelListLine are the list of "xl channel-list".
func channelListHeader() string {
	return fmt.Sprintf("%-3s %-2s %-5s %-6s %8s %-10s %-30s\n",
		"Idx", "BE", "state", "evt-ch", "ring-ref", "connection", "")
}

// channelListLine counts channels from 0, as the genuine tool does: they are the consoles
// after the primary one.
func channelListLine(c *device.ChannelInfo) string {
	l := &c.Link
	line := fmt.Sprintf("%-3d %-2d %-5d %-6d %-8d %-10s ",
		l.ID-1, l.Backend, l.State, l.EvtChn, l.RingRef, c.Channel.Connection)
	if c.Channel.Connection == "pty" {
		line += fmt.Sprintf("%-30s ", orNull(c.TTY))
	}
	return line + "\n"
}
