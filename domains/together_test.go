package domains

import (
	"errors"
	"sync"
	"testing"

	"goxl/domains/config"
	"goxl/xenctrl/abi"
	"goxl/xenctrl/xentest"
)

// Of creations of one name at the same time, by as many processes, one makes a guest.
func TestOneNameOneGuest(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	const n = 6
	errs := make([]error, n)
	spec := w.spec(config.TypePVH)
	var wg sync.WaitGroup
	for i := range n {
		m, exit := w.process()
		defer exit()
		wg.Go(func() { _, errs[i] = m.Create(t.Context(), spec, CreateOptions{Paused: true}) })
	}
	wg.Wait()
	made := 0
	for _, err := range errs {
		switch {
		case err == nil:
			made++
		case !errors.Is(err, NameTaken):
			t.Error(err)
		}
	}
	if made > 1 {
		t.Errorf("%d guests have the name", made)
	}
	w.destroyAll()
	w.nothingLeft()
}

// Of guests that are renamed to the same name at the same time, one gets it.
func TestOneNameOneRename(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	var ids []abi.DomID
	for _, name := range []string{"a", "b", "c"} {
		s := w.spec(config.TypePVH)
		s.CInfo.Name = config.Some(name)
		id, err := w.m.Create(t.Context(), s, CreateOptions{Paused: true})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	errs := make([]error, len(ids))
	var wg sync.WaitGroup
	for i, id := range ids {
		m, exit := w.process()
		defer exit()
		wg.Go(func() { errs[i] = m.Rename(t.Context(), id, "wanted") })
	}
	wg.Wait()
	got := 0
	for _, err := range errs {
		switch {
		case err == nil:
			got++
		case !errors.Is(err, NameTaken):
			t.Error(err)
		}
	}
	if got != 1 {
		t.Errorf("%d guests got the name, want one", got)
	}
}

// A guest that is destroyed while disks and interfaces are attached to it leaves
// nothing, whoever is faster.
func TestDestroyBesideAttach(t *testing.T) {
	w := newWorld(t, xentest.Config{})
	spare := w.image("spare.img")
	for range 30 {
		id, err := w.m.Create(t.Context(), w.fullSpec(config.TypePVH, false), CreateOptions{Paused: true})
		if err != nil {
			t.Fatal(err)
		}
		m, exit := w.process()
		var wg sync.WaitGroup
		wg.Go(func() {
			m.AttachDisk(t.Context(), id, &config.Disk{Path: config.Some(spare), VDev: config.Some("xvdc"),
				Format: config.FormatRaw, ReadWrite: 1}) // refused, or undone, or removed by the other
			m.AttachNIC(t.Context(), id, &config.NIC{Bridge: config.Some("xenbr0")})
		})
		wg.Go(func() {
			if err := w.m.Destroy(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		exit()
		w.nothingLeft()
		w.forgetIDs()
		if t.Failed() {
			return
		}
	}
}
