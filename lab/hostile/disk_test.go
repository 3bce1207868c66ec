//go:build linux

package hostile_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"goxl/backends"
	"goxl/backends/backtest"
	"goxl/blkback"
	"goxl/lab/hostile"
)

// TestDiskInMemory does to blkback in this process what the lab test does to it on Xen.
func TestDiskInMemory(t *testing.T) {
	m := backtest.New(t)
	dir := t.TempDir()
	driver, err := blkback.NewDriver(blkback.Options{Dir: filepath.Join(dir, "run")})
	if err != nil {
		t.Fatal(err)
	}
	store := m.Dial()
	manager := backends.New(backends.Options{Store: store, Xen: m, Kind: blkback.Kind, FrontKind: blkback.FrontKind, Driver: driver})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- manager.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		store.Close()
	})
	for dev, mode := range map[int]string{51712: "w", 51728: "r"} {
		image := filepath.Join(dir, mode+".img")
		if err := os.WriteFile(image, hostile.Pattern(sectors), 0o600); err != nil {
			t.Fatal(err)
		}
		m.AddDevice(blkback.Kind, blkback.FrontKind, backends.ID{Dom: 7, Dev: dev}, map[string]string{
			"params": "aio:" + image, "mode": mode, "device-type": "disk", "removable": "0", "discard-enable": "1",
			"type": "qdisk", blkback.ServerKey: blkback.ServerValue})
	}
	var out bytes.Buffer
	hostile.Run(ctx, &out, m.Guest(7).Store, hostile.InMemory(m.Guest(7)), "disk/")
	t.Log(out.String())
	if strings.Contains(out.String(), "BAD") {
		t.Error("some misdeeds were not dealt with")
	}
	if b, err := os.ReadFile(filepath.Join(dir, "r.img")); err != nil || !bytes.Equal(b, hostile.Pattern(sectors)) {
		t.Errorf("the read-only disk is not as it was: %v", err)
	}
}
