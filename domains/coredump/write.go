package coredump

import (
	"context"
	"errors"
	"io"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// writer counts, and remembers the first error.
type writer struct {
	ctx context.Context
	w   io.Writer
	at  uint64
	err error
}

func (w *writer) put(b []byte) {
	if w.err == nil {
		w.err = context.Cause(w.ctx)
	}
	if w.err != nil || len(b) == 0 {
		return
	}
	n, err := w.w.Write(b)
	w.at += uint64(n)
	w.err = err
}

func (w *writer) zeros(n uint64) {
	var page [abi.PageSize]byte
	for ; n > 0 && w.err == nil; n -= min(n, abi.PageSize) {
		w.put(page[:min(n, abi.PageSize)])
	}
}

// pageWriter maps pages in batches and writes those that are there.
type pageWriter struct {
	d     *Dump
	out   *writer
	queue []page
	done  runs
	extra uint64
}

// add takes a page that the guest may have.
func (p *pageWriter) add(x page) error {
	p.queue = append(p.queue, x)
	if len(p.queue) < batch {
		return nil
	}
	return p.flush()
}

// flush writes the pages of the queue straight from the mapping.
func (p *pageWriter) flush() (err error) {
	frames := make([]abi.GFN, len(p.queue))
	for i, x := range p.queue {
		frames[i] = x.gfn
	}
	defer func() { p.queue = p.queue[:0] }()
	if err := context.Cause(p.out.ctx); err != nil {
		return err
	}
	m, errs, err := p.d.h.MapForeignSome(p.d.id, frames, xenctrl.ProtRead)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	return m.With(func(b []byte) error { return p.write(b, errs) })
}

// write writes neighbours in one piece.
func (p *pageWriter) write(b []byte, errs []error) error {
	first, n := 0, 0
	emit := func() {
		p.out.put(b[first<<abi.PageShift:][:n<<abi.PageShift])
		n = 0
	}
	for i, x := range p.queue {
		switch {
		case errs[i] != nil: // a hole, or given back a moment ago
			emit()
			continue
		case p.done.count == p.d.layout.pages:
			p.extra++
			continue
		case n == 0:
			first = i
		}
		p.done.add(x)
		n++
	}
	emit()
	return p.out.err
}
