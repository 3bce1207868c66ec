package domains_test

import (
	"context"
	"errors"
	"fmt"

	"goxl/domains"
	"goxl/domains/config"
)

// Errors say what was tried and why not, and have a code that stays.
func ExampleError() {
	err := fmt.Errorf("nightly job: %w", &domains.Error{Kind: domains.NameTaken, Op: "create web1",
		Err: errors.New("domain 3 has that name already"), Hint: "choose another name"})
	fmt.Println(err)
	fmt.Println(domains.CodeOf(err), domains.RCOf(err), errors.Is(err, domains.NameTaken))
	// Output:
	// nightly job: create web1: domain 3 has that name already (choose another name)
	// name-taken -6 true
}

// Create a guest from a configuration file's text, and follow it to its end.
func ExampleManager_Create() {
	run := func(ctx context.Context, text []byte) error {
		spec, _, err := config.Parse("web1.cfg", text, config.Options{})
		if err != nil {
			return err
		}
		m, err := domains.Open(ctx, domains.Options{})
		if err != nil {
			return err
		}
		defer m.Close()
		timeline := domains.NewTimeline()
		id, err := m.Create(ctx, spec, domains.CreateOptions{Timeline: timeline})
		if err != nil {
			return err
		}
		for _, s := range timeline.Steps() {
			fmt.Printf("%-20s %v\n", s.Name, s.Took)
		}
		w, err := m.Watch(ctx, id)
		if err != nil {
			return err
		}
		defer w.Close()
		for e := range w.Events() {
			if e.Kind == domains.ShutDown {
				fmt.Println("ended, reason", e.Reason)
			}
		}
		return w.Err()
	}
	_ = run // it needs a Xen host
}
