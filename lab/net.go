package lab

import (
	"fmt"
	"net"
)

// chain returns the -netdev arguments that join n hosts into one segment: host
// i listens for host i+1 on ports[i], and each bridges its two ends. So a lab
// of n hosts needs n-1 ports, and hosts have to start in order.
func chain(host, n int, ports []int) []string {
	var netdevs []string
	if host > 1 {
		netdevs = append(netdevs, fmt.Sprintf("socket,connect=127.0.0.1:%d", ports[host-2]))
	}
	if host < n {
		netdevs = append(netdevs, fmt.Sprintf("socket,listen=127.0.0.1:%d", ports[host-1]))
	}
	return netdevs
}

// freePorts returns n TCP ports of 127.0.0.1 that nobody listened on just now.
// Somebody else may take one before QEMU does; QEMU then fails to start, and
// the caller tries again with others.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close() // only when all are found, so that they differ
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
