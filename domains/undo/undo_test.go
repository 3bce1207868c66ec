package undo_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"goxl/domains/undo"
)

func TestRollback(t *testing.T) {
	errMain, errUndo := errors.New("no memory"), errors.New("busy")
	for _, tt := range []struct {
		name   string
		commit bool
		err    error
		fails  string // the step whose undo fails
		want   []string
	}{
		{"committed", true, nil, "", nil},
		{"newest first", false, errMain, "", []string{"c", "b", "a"}},
		{"a failing step stops nothing", false, errMain, "b", []string{"c", "b", "a"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var ran []string
			run := func() (err error) {
				var u undo.Stack
				defer u.Rollback(t.Context(), &err)
				for _, what := range []string{"a", "b", "c"} {
					u.Push(what, func(context.Context) error {
						ran = append(ran, what)
						if what == tt.fails {
							return errUndo
						}
						return nil
					})
				}
				if tt.commit {
					u.Commit()
				}
				return tt.err
			}
			err := run()
			if !slices.Equal(ran, tt.want) {
				t.Errorf("ran %q, want %q", ran, tt.want)
			}
			if !errors.Is(err, tt.err) {
				t.Errorf("error %v lost %v", err, tt.err)
			}
			if (tt.fails != "") != errors.Is(err, errUndo) {
				t.Errorf("error %v, undo error expected: %v", err, tt.fails != "")
			}
		})
	}
}

func TestRollbackOutlivesCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		u := undo.Stack{Timeout: 3 * time.Second}
		u.Push("slow", func(ctx context.Context) error {
			if ctx.Err() != nil {
				t.Error("the operation's cancellation reached the rollback")
			}
			<-ctx.Done()
			return ctx.Err()
		})
		cancel()
		start, err := time.Now(), error(nil)
		u.Rollback(ctx, &err)
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("rollback ended after %v, want its own 3s", d)
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the deadline's", err)
		}
	})
}

func TestTakeAndAppend(t *testing.T) {
	var u, v undo.Stack
	step := func(context.Context) error { return nil }
	u.Push("one", step)
	u.Push("two", step)
	taken := u.Take()
	v.Append(taken)
	if u.Len() != 0 || taken.Len() != 0 || v.Len() != 2 {
		t.Errorf("%d, %d, %d steps, want 0, 0, 2", u.Len(), taken.Len(), v.Len())
	}
}

// What was taken away already, as a domain whose id did not do, is not undone again;
// what came before it is.
func TestPop(t *testing.T) {
	var ran []string
	var u undo.Stack
	push := func(what string) {
		u.Push(what, func(context.Context) error {
			ran = append(ran, what)
			return nil
		})
	}
	push("first")
	push("refused")
	u.Pop()
	push("second")
	var err error
	if !u.Rollback(t.Context(), &err) || err != nil {
		t.Errorf("rollback: %v", err)
	}
	if want := []string{"second", "first"}; !slices.Equal(ran, want) {
		t.Errorf("ran %q, want %q", ran, want)
	}
}

func ExampleStack() {
	create := func() (err error) {
		var u undo.Stack
		defer u.Rollback(context.Background(), &err)
		u.Push("create domain", func(context.Context) error {
			fmt.Println("destroy the domain")
			return nil
		})
		u.Push("add disk", func(context.Context) error { return errors.New("device busy") })
		return errors.New("no kernel")
	}
	fmt.Println(create())
	// Output:
	// destroy the domain
	// no kernel
	// undo add disk: device busy
}
