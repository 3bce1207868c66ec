package lab

import (
	"bufio"
	"net"
	"strings"
	"sync"
)

// console follows what a host prints.
type console struct {
	ready, failed chan struct{} // closed when the marker or a deadly text was seen
	conn          net.Conn

	mu    sync.Mutex
	lines []string
}

// consoleLines are kept for the error of a host that does not come up.
const consoleLines = 200

// deadly are the texts after which nothing good comes.
var deadly = []string{"Kernel panic - not syncing", "Panic on CPU", "Hardware Dom0 crashed", "Domain 0 crashed"}

// readConsole reads conn until it is closed; marker is what a ready host prints.
func readConsole(conn net.Conn, marker string) *console {
	c := &console{ready: make(chan struct{}), failed: make(chan struct{}), conn: conn}
	go c.follow(marker)
	return c
}

func (c *console) follow(marker string) {
	ready, failed := c.ready, c.failed
	for s := bufio.NewScanner(c.conn); s.Scan(); {
		line := strings.TrimRight(s.Text(), "\r")
		c.add(line)
		if ready != nil && strings.Contains(line, marker) {
			close(ready)
			ready = nil
		}
		if failed != nil && isDeadly(line) {
			close(failed)
			failed = nil
		}
	}
}

func isDeadly(line string) bool {
	for _, text := range deadly {
		if strings.Contains(line, text) {
			return true
		}
	}
	return false
}

func (c *console) add(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, line)
	c.lines = c.lines[max(0, len(c.lines)-consoleLines):]
}

// tail returns the last n lines.
func (c *console) tail(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.Join(c.lines[max(0, len(c.lines)-n):], "\n")
}
