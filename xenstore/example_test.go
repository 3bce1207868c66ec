package xenstore_test

import (
	"context"
	"fmt"
	"log"

	"goxl/xenstore"
	"goxl/xenstore/server"
	"goxl/xenstore/wire"
)

// dialExample connects to a store in this process; a program in dom0 would call
// xenstore.Dial(ctx).
func dialExample(ctx context.Context) (*xenstore.Client, func()) {
	srv := server.New(server.Options{})
	c, err := xenstore.Dial(ctx, xenstore.WithConn(srv.Pipe(0)))
	if err != nil {
		log.Fatal(err)
	}
	return c, func() { c.Close(); srv.Close() }
}

func Example() {
	ctx := context.Background()
	c, done := dialExample(ctx)
	defer done()

	if err := c.Write(ctx, "/local/domain/0/name", "Domain-0"); err != nil {
		log.Fatal(err)
	}
	name, err := c.Read(ctx, "/local/domain/0/name")
	fmt.Println(name, err)
	// Output: Domain-0 <nil>
}

// The nodes of a device appear together, or not at all.
func ExampleClient_Update() {
	ctx := context.Background()
	c, done := dialExample(ctx)
	defer done()

	const dir = "/local/domain/7/device/vbd/51712"
	err := c.Update(ctx, func(tx *xenstore.Tx) error {
		var b xenstore.Batch
		b.Mkdir(dir)
		b.SetPerms(dir, []wire.Perm{{Dom: 7}, {Access: wire.Read, Dom: 0}})
		b.Write(dir+"/backend-id", "0")
		b.Write(dir+"/state", "1")
		return tx.Send(ctx, &b)
	})
	names, _ := c.List(ctx, dir)
	fmt.Println(names, err)
	// Output: [backend-id state] <nil>
}

func ExampleClient_Watch() {
	ctx := context.Background()
	c, done := dialExample(ctx)
	defer done()

	w, err := c.Watch(ctx, "/vm", xenstore.Merge())
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	fmt.Println((<-w.Events()).Path, "at once")
	c.Write(ctx, "/vm/uuid", "1")
	fmt.Println((<-w.Events()).Path)
	// Output:
	// /vm at once
	// /vm/uuid
}

func ExampleClient_Await() {
	ctx := context.Background()
	c, done := dialExample(ctx)
	defer done()

	const state = "/local/domain/0/backend/vbd/7/51712/state"
	go c.Write(ctx, state, "2") // the backend driver
	_, err := c.Await(ctx, state, func(value string, exists bool) bool { return value == "2" })
	fmt.Println("backend waits:", err)
	// Output: backend waits: <nil>
}
