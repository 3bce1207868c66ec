// Package xentest is for tests: it skips those that need a Xen host where there
// is none (NeedXen), and has an in-memory Xen to run everything else on.
//
//	m := xentest.NewMachine(t, 7)
//	h := m.Handle()
//	err := h.SetMaxMem(7, 2048)
//	…
//	if got := m.MaxMem(7); got != 2048 {
//
// The machine sits at the hypercall: it decodes the bytes that the real
// encoders made, with its own reading of each release's headers, and refuses
// what Xen would. Guest memory is real memory, so foreign mappings and the
// guest see the same bytes. FailAt and FailOn inject failures; what is not
// given back when the test ends fails it.
package xentest
