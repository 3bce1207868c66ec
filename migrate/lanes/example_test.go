package lanes_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"

	"goxl/migrate/lanes"
)

// A stream goes over three connections.
func Example() {
	r := lanes.NewReceiver(lanes.Options{}, 3)
	defer r.Close()
	dial := func(context.Context) (net.Conn, error) {
		here, there := net.Pipe()
		go r.Attach(there)
		return here, nil
	}
	var conns []net.Conn
	for range 3 {
		c, _ := dial(context.Background())
		conns = append(conns, c)
	}
	s := lanes.NewSender(context.Background(), lanes.Options{}, dial, conns)
	go func() {
		io.Copy(s, strings.NewReader("all of a guest"))
		if err := s.Close(); err != nil {
			fmt.Println(err)
		}
	}()
	b, err := io.ReadAll(r)
	fmt.Printf("%s, %v\n", b, err)
	// Output: all of a guest, <nil>
}
