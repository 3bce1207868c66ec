package device_test

import (
	"context"
	"fmt"

	"goxl/domains/device"
	"goxl/domains/host"
	"goxl/xenstore"
	"goxl/xenstore/server"
)

// A store in this process stands for the host's.
func ExampleSet() {
	ctx := context.Background()
	srv := server.New(server.Options{})
	defer srv.Close()
	store, err := xenstore.Dial(ctx, xenstore.WithConn(srv.Pipe(0)))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	store.Write(ctx, "/libxl/7/type", "pvh") // the guest

	set := device.New(device.Options{Store: store, Host: host.New(host.DefaultPaths()), Layout: device.LayoutOf(17)})
	dev, err := set.AddChannel(ctx, 7, &device.Channel{DevID: 1, Name: "org.example.log", Connection: "pty"})
	fmt.Println(dev, err)
	channels, err := set.Channels(ctx, 7)
	for _, c := range channels {
		fmt.Println(c.Channel.Name, "is", c.BackendPath())
	}
	fmt.Println(err, set.RemoveAll(ctx, 7))
	devs, err := set.List(ctx, 7)
	fmt.Println(len(devs), err)
	// Output:
	// console 1 of domain 7 <nil>
	// org.example.log is /local/domain/0/backend/console/7/1
	// <nil> <nil>
	// 0 <nil>
}

func ExampleParseVDev() {
	for _, name := range []string{"xvda", "xvdb1", "hdc", "sda"} {
		id, err := device.ParseVDev(name)
		fmt.Println(name, id, device.VDevName(id), err)
	}
	// Output:
	// xvda 51712 xvda <nil>
	// xvdb1 51729 xvdb1 <nil>
	// hdc 5632 xvda <nil>
	// sda 2048 xvda <nil>
}
