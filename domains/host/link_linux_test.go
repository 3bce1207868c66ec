package host

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestAwaitLink(t *testing.T) {
	h := New(Paths{})
	if err := h.AwaitLink(t.Context(), "lo"); err != nil {
		t.Errorf("AwaitLink(lo) = %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := h.AwaitLink(ctx, "goxl-none"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("AwaitLink of an interface that never comes = %v, want the context's end", err)
	}
}
