package netif

import (
	"bytes"
	"testing"
)

// FuzzSlot holds that any slot can be read, and that what is read is written back
// as the same bytes, but for those that no field covers.
func FuzzSlot(f *testing.F) {
	for _, b := range layouts() {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		slot := append(b, make([]byte, CtrlSlotSize)...)[:CtrlSlotSize]
		again := func(name string, size int, got []byte) {
			if !bytes.Equal(got[:size], slot[:size]) {
				t.Errorf("%s %x is written back as %x", name, slot[:size], got)
			}
		}
		again("tx request", TxSlotSize, put(TxSlotSize, ParseTxRequest(slot).Put))
		again("tx response", 4, put(TxSlotSize, ParseTxResponse(slot).Put))
		again("rx response", RxSlotSize, put(RxSlotSize, ParseRxResponse(slot).Put))
		again("ctrl request", CtrlSlotSize, put(CtrlSlotSize, ParseCtrlRequest(slot).Put))
		again("ctrl response", 12, put(CtrlSlotSize, ParseCtrlResponse(slot).Put))
		rx := put(RxSlotSize, ParseRxRequest(slot).Put)
		if ParseRxRequest(rx) != ParseRxRequest(slot) {
			t.Errorf("rx request %x is written back as %x", slot, rx)
		}
		e := ParseExtra(slot)
		if back := ParseExtra(put(ExtraSize, e.Put)); back != e {
			t.Errorf("extra %+v is written back as %+v", e, back)
		}
	})
}

func TestExtraTypes(t *testing.T) {
	for typ := range ExtraType(255) {
		if want := typ >= 1 && typ <= 4; typ.Valid() != want {
			t.Errorf("type %d is valid: %v", typ, !want)
		}
	}
}
