package build

import (
	"context"

	"goxl/xenctrl"
	"goxl/xenctrl/abi"
)

// Source fills a guest with the memory and the state of one that was saved, in
// place of a kernel. What it reads may be hostile.
type Source interface {
	// Fill populates and fills the domain and sets its CPU policy and its vcpus. It
	// returns the frames of the two rings, as Xen knows them. It blocks for as long
	// as its input does; ctx ends it between pieces.
	Fill(ctx context.Context, t Target) (store, console abi.GFN, err error)
}

// Target is the domain that a Source fills: it is paused, has its vcpus, limits
// and platform, and no memory yet.
type Target struct {
	Xen   *xenctrl.Handle
	Dom   abi.DomID
	Kind  Kind
	VCPUs int
	// StorePort and ConsolePort are the guest's ends of the event channels.
	StorePort, ConsolePort abi.Port
}

// restorePlan builds a guest from a Source.
type restorePlan struct {
	*builder
	store, console abi.GFN
}

func (pl *restorePlan) populate(context.Context) error { return nil } // as it comes

func (pl *restorePlan) load(ctx context.Context) (err error) {
	pl.store, pl.console, err = pl.p.Source.Fill(ctx, Target{
		Xen: pl.h, Dom: pl.dom, Kind: pl.p.Kind, VCPUs: pl.p.VCPUs,
		StorePort: pl.res.Store.Port, ConsolePort: pl.res.Console.Port,
	})
	return err
}

func (pl *restorePlan) start(context.Context) error { return nil } // the vcpus came with the memory

func (pl *restorePlan) rings() (store, console abi.GFN) { return pl.store, pl.console }
