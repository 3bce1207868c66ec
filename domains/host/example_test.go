package host_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"goxl/domains/host"
)

func ExampleHost_Lock() {
	dir, err := os.MkdirTemp("", "lock")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	paths := host.DefaultPaths()
	paths.Lib = dir
	h := host.New(paths)
	lock, err := h.Lock(context.Background(), filepath.Join(h.Lib, "userdata-l.7.uuid.domain-userdata-lock"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("locked")
	fmt.Println(lock.Unlock())
	left, _ := os.ReadDir(dir)
	fmt.Println(len(left), "files left")
	// Output:
	// locked
	// <nil>
	// 0 files left
}
