// Guests lists the guests of this host, or makes one:
//
//	guests
//	guests create pvh.cfg
//
// It is what a program of yours starts from that creates guests by itself.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"os/signal"

	"goxl/domains"
	"goxl/domains/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	switch {
	case len(os.Args) == 1:
		err = list(ctx)
	case len(os.Args) == 3 && os.Args[1] == "create":
		err = create(ctx, os.Args[2])
	default:
		fmt.Fprintln(os.Stderr, "usage: guests [create FILE]")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guests:", err)
		os.Exit(1)
	}
}

func list(ctx context.Context) error {
	m, err := domains.Open(ctx, domains.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	all, err := m.List(ctx)
	if err != nil {
		return err
	}
	for _, d := range all {
		fmt.Printf("%5d  %-24s %6d MiB  %2d vcpus  %s\n", d.ID, d.Name, d.Current>>10, d.VCPUsOnline, d.UUID)
	}
	return nil
}

// create makes the guest that an xl.cfg describes. When it fails, or is
// interrupted, nothing is left of it.
func create(ctx context.Context, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	m, err := domains.Open(ctx, domains.Options{})
	if err != nil {
		return err
	}
	defer m.Close()
	v := m.Xen().Version()
	spec, warnings, err := config.Parse(file, text, config.Options{Release: config.Release{Major: v.Major, Minor: v.Minor}, Rand: rand.Reader})
	for _, w := range warnings {
		fmt.Fprintln(os.Stderr, w)
	}
	if err != nil {
		return err
	}
	id, err := m.Create(ctx, spec, domains.CreateOptions{})
	if err != nil {
		return err
	}
	fmt.Printf("domain %d runs\n", id)
	return nil
}
