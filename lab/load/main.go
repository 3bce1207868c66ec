// Command load makes network traffic between a guest of a lab and its dom0, and says
// how long it took.
//
//	load listen 10.77.0.77:7000                     # in the guest, for ever
//	load sink 10.77.0.77:7000 16777216              # send so many bytes there
//	load source 10.77.0.77:7000 16777216            # have so many bytes sent here
//	load echo 10.77.0.77:7000 4000 64 32            # 4000 datagrams of 64 bytes there and back, 32 at a time
//
// The last three print microseconds. They wait for the listener to be there before,
// and only then begin to count. It uses large buffers and few system calls, so that
// what is between the two takes as much of the time as possible.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 2 && args[0] == "listen" {
		return listen(args[1])
	}
	asks := map[string]struct {
		numbers int
		ask     func(addr string, n []int) (time.Duration, error)
	}{
		"sink":   {1, func(addr string, n []int) (time.Duration, error) { return askStream(addr, "sink", n[0]) }},
		"source": {1, func(addr string, n []int) (time.Duration, error) { return askStream(addr, "source", n[0]) }},
		"echo":   {3, func(addr string, n []int) (time.Duration, error) { return askEcho(addr, n[0], n[1], n[2]) }},
	}
	if len(args) < 2 {
		return fmt.Errorf("needs listen, sink, source or echo, and an address")
	}
	a, ok := asks[args[0]]
	if !ok || len(args) != 2+a.numbers {
		return fmt.Errorf("%q is none of: listen ADDRESS, sink ADDRESS BYTES, source ADDRESS BYTES, echo ADDRESS COUNT SIZE WINDOW", args)
	}
	var numbers []int
	for _, s := range args[2:] {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no number above zero", s)
		}
		numbers = append(numbers, n)
	}
	took, err := a.ask(args[1], numbers)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	fmt.Println(took.Microseconds())
	return nil
}
