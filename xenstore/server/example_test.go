package server_test

import (
	"context"
	"errors"
	"fmt"

	"goxl/xenstore"
	"goxl/xenstore/server"
)

// A guest sees what dom0 lets it see.
func Example() {
	ctx := context.Background()
	srv := server.New(server.Options{})
	defer srv.Close()
	dom0, _ := xenstore.Dial(ctx, xenstore.WithConn(srv.Pipe(0)))
	defer dom0.Close()
	guest, _ := xenstore.Dial(ctx, xenstore.WithConn(srv.Pipe(7)))
	defer guest.Close()

	dom0.Write(ctx, "/secret", "x")
	_, err := guest.Read(ctx, "/secret")
	fmt.Println(errors.Is(err, xenstore.ErrPermission))
	// Output: true
}
