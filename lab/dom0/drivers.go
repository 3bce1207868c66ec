package dom0

import (
	"context"
	"errors"
	"strings"
	"testing"

	"goxl/xenstore"
)

// backends is where dom0's kernel finds the devices that it serves.
const backends = "/local/domain/0/backend"

// Drivers stands in for the drivers that mini guests lack, until the test ends: when
// a backend is told to close, the guest's half is said to be closed, as a driver
// would. Without that a device goes by force only.
func Drivers(t *testing.T) {
	t.Helper()
	store, err := xenstore.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w, err := store.Watch(t.Context(), backends, xenstore.Merge())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range w.Events() {
			if back, ok := strings.CutSuffix(e.Path, "/state"); ok {
				if err := closeFrontend(context.Background(), store, back); err != nil {
					t.Errorf("close the guest's half of %s: %v", back, err)
				}
			}
		}
	}()
	t.Cleanup(func() {
		w.Close()
		<-done
		store.Close()
	})
}

// closeFrontend follows a backend that is closing. Either half may go away meanwhile.
func closeFrontend(ctx context.Context, store *xenstore.Client, back string) error {
	err := store.Update(ctx, func(tx *xenstore.Tx) error {
		state, err := tx.Read(ctx, back+"/state")
		if err != nil || state != "5" {
			return err
		}
		front, err := tx.Read(ctx, back+"/frontend")
		if err != nil {
			return err
		}
		if old, err := tx.Read(ctx, front+"/state"); err != nil || old == "6" {
			return err
		}
		return tx.Write(ctx, front+"/state", "6")
	})
	if errors.Is(err, xenstore.ErrNotFound) {
		return nil
	}
	return err
}
