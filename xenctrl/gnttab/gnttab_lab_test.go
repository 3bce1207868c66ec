package gnttab_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"goxl/xenctrl/gnttab"
	"goxl/xenctrl/xentest"
)

// opened returns both devices.
func opened(t testing.TB) (*gnttab.Conn, *gnttab.Allocator) {
	t.Helper()
	xentest.NeedXen(t)
	c, err := gnttab.Open()
	if err != nil {
		t.Fatal(err)
	}
	a, err := gnttab.OpenAllocator()
	if err != nil {
		t.Fatalf("%v: is the module xen-gntalloc loaded?", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.Close(), a.Close()); err != nil {
			t.Error(err)
		}
	})
	return c, a
}

// share grants n pages to this domain itself.
func share(t testing.TB, a *gnttab.Allocator, n int, access gnttab.Access) *gnttab.Shared {
	t.Helper()
	s, err := a.Share(0, n, access)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestLabMap(t *testing.T) {
	c, a := opened(t)
	s := share(t, a, 3, gnttab.ReadWrite)
	m, err := c.Map(0, s.Refs(), gnttab.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if m.Len() != 3*4096 || s.Len() != 3*4096 {
		t.Errorf("mapped %d of %d bytes", m.Len(), s.Len())
	}
	err = m.With(func(b []byte) error { copy(b[2*4096:], "through the grant"); return nil })
	if err != nil {
		t.Fatal(err)
	}
	err = s.With(func(b []byte) error {
		if !bytes.HasPrefix(b[2*4096:], []byte("through the grant")) {
			t.Errorf("the granting side sees %q", b[2*4096:][:17])
		}
		b[5] = 1
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.NotifyOnUnmap(5, 0); err != nil {
		t.Errorf("NotifyOnUnmap: %v", err)
	}
	if err := errors.Join(m.Close(), m.Close()); err != nil {
		t.Fatal(err)
	}
	if err := m.With(func([]byte) error { return nil }); !errors.Is(err, os.ErrClosed) {
		t.Errorf("With after Close = %v", err)
	}
	_ = s.With(func(b []byte) error {
		if b[5] != 0 {
			t.Error("the byte was not cleared on unmap")
		}
		return nil
	})
}

func TestLabMapReadOnly(t *testing.T) {
	c, a := opened(t)
	s := share(t, a, 1, gnttab.ReadOnly)
	if m, err := c.Map(0, s.Refs(), gnttab.ReadWrite); err == nil {
		t.Error("a read-only grant was mapped writable")
		_ = m.Close()
	}
	m, err := c.Map(0, s.Refs(), gnttab.ReadOnly)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
}

func TestLabMapBadReference(t *testing.T) {
	c, _ := opened(t)
	if m, err := c.Map(0, []gnttab.GrantRef{0x7fffff}, gnttab.ReadOnly); err == nil {
		t.Error("a reference that was never granted was mapped")
		_ = m.Close()
	} else {
		t.Logf("bad reference: %v", err)
	}
}

func TestLabCopy(t *testing.T) {
	c, a := opened(t)
	s := share(t, a, 2, gnttab.ReadWrite)
	refs := s.Refs()
	local := []byte("local bytes, copied by Xen")
	back := make([]byte, len(local))
	err := c.Copy([]gnttab.Segment{{
		Src: gnttab.Place{Local: local}, Dst: gnttab.Place{Grant: gnttab.Grant{Dom: 0, Ref: refs[1]}, Offset: 40},
		Len: uint16(len(local)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	err = c.Copy([]gnttab.Segment{{
		Src: gnttab.Place{Grant: gnttab.Grant{Dom: 0, Ref: refs[1]}, Offset: 40}, Dst: gnttab.Place{Local: back},
		Len: uint16(len(local)),
	}})
	if err != nil || !bytes.Equal(back, local) {
		t.Fatalf("copied back %q, %v", back, err)
	}
	bad := gnttab.Segment{
		Src: gnttab.Place{Grant: gnttab.Grant{Dom: 0, Ref: 0x7fffff}}, Dst: gnttab.Place{Local: back}, Len: 1,
	}
	var refused *gnttab.CopyError
	if err := c.Copy([]gnttab.Segment{bad}); !errors.As(err, &refused) || refused.Segment != 0 {
		t.Errorf("Copy of a bad reference = %v", err)
	} else {
		t.Logf("bad reference: %v", err)
	}
}

// TestLabCloseOrder holds that a mapping outlives the device it was made with.
func TestLabCloseOrder(t *testing.T) {
	c, a := opened(t)
	s := share(t, a, 1, gnttab.ReadWrite)
	m, err := c.Map(0, s.Refs(), gnttab.ReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.With(func(b []byte) error { b[0] = 1; return nil }); err != nil {
		t.Error(err)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, err := c.Map(0, s.Refs(), gnttab.ReadWrite); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Map after Close = %v", err)
	}
}

// TestLabBatch holds that one bad reference spoils no other copy, and that a batch
// used again allocates nothing.
func TestLabBatch(t *testing.T) {
	c, a := opened(t)
	s := share(t, a, 2, gnttab.ReadWrite)
	refs := s.Refs()
	b, err := c.NewBatch()
	if err != nil {
		t.Fatal(err)
	}
	local, back := bytes.Repeat([]byte("batch"), 100), make([]byte, 500)
	at := func(r gnttab.GrantRef) gnttab.Grant { return gnttab.Grant{Dom: 0, Ref: r} }
	b.Ops = append(b.Ops,
		gnttab.Op{Grant: at(refs[1]), Offset: 96, Local: local, ToGrant: true},
		gnttab.Op{Grant: at(0x7fffff), Local: back})
	if err := b.Run(); err != nil || b.Ops[0].Status != 0 || b.Ops[1].Status == 0 {
		t.Fatalf("Run() = %v, %v, %v", err, b.Ops[0].Status, b.Ops[1].Status)
	}
	b.Reset()
	b.Ops = append(b.Ops, gnttab.Op{Grant: at(refs[1]), Offset: 96, Local: back})
	if err := b.Run(); err != nil || !bytes.Equal(back, local) {
		t.Fatalf("read back %q, %v", back[:10], err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = b.Run() }); n != 0 {
		t.Errorf("%v allocations a run", n)
	}
}
