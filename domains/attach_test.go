package domains

import (
	"context"
	"strconv"
	"testing"
	"time"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

// While an attach waits for a backend that takes its time, the guest's stored
// configuration is free for others, and has the device already.
func TestAttachWaitsWithoutTheDataLock(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	w.xen.AddDomain(sleepyDom)
	if err := w.m.store.Write(t.Context(), domainPath(sleepyDom)+"/name", "sleepy"); err != nil {
		t.Fatal(err)
	}
	id, err := w.m.Create(t.Context(), w.spec(config.TypePVH), CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	attached := make(chan error, 1)
	go func() {
		attached <- w.m.AttachNIC(t.Context(), id, &config.NIC{Backend: config.Backend{DomID: sleepyDom}})
	}()
	state := domainPath(sleepyDom) + "/backend/vif/" + strconv.Itoa(int(id)) + "/1/state"
	if _, err := w.m.store.Await(t.Context(), state, func(_ string, exists bool) bool { return exists }); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := w.m.SetMem(short, id, abi.KiB(15<<10)); err != nil {
		t.Errorf("mem-set while an attach waits: %v", err)
	}
	if s, err := w.m.StoredConfig(short, id); err != nil || len(s.NICs) != 2 {
		t.Errorf("the stored configuration while an attach waits: %v, %v", s, err)
	}
	select {
	case err := <-attached:
		t.Fatalf("the attach did not wait for its backend: %v", err)
	default:
	}
	if err := w.m.store.Write(t.Context(), state, "2"); err != nil {
		t.Fatal(err)
	}
	if err := <-attached; err != nil {
		t.Error(err)
	}
}
