package main

import (
	"context"
	"fmt"
	"strings"
)

// lives creates and destroys guests that boot Debian's kernel. "Cold" is a create
// with our cache of unpacked kernels emptied before. The genuine xl has no such
// cache: each of its creates is compared with both.
func (b *bench) lives(ctx context.Context) error {
	for i := range b.rounds {
		for _, kind := range []string{"pvh", "pv"} {
			for _, xl := range b.turn(i) {
				states := []string{"warm"}
				if xl == oursXL {
					states = []string{"cold", "warm"}
				}
				for _, state := range states {
					if err := b.life(ctx, xl, kind, state); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func (b *bench) life(ctx context.Context, xl, kind, state string) error {
	if state == "cold" {
		if _, err := b.sh(ctx, "rm -rf "+kernelCache); err != nil {
			return err
		}
	}
	took, err := b.times(ctx, fmt.Sprintf("us %s create -q /opt/goxl/examples/%s.cfg", xl, kind))
	if err != nil {
		return fmt.Errorf("create %s: %w", kind, err)
	}
	upper := strings.ToUpper(kind)
	cold := metric{op: "create " + upper + ", cold", unit: "ms", target: 1}
	warm := metric{op: "create " + upper + ", warm", unit: "ms", target: 0.3}
	if state == "cold" || xl != oursXL {
		b.rows.add(cold, xl == oursXL, took...)
	}
	if state == "warm" {
		b.rows.add(warm, xl == oursXL, took...)
	}
	if err := b.measure(ctx, metric{op: "destroy " + upper, unit: "ms", target: 1}, xl == oursXL, xl+" destroy "+kind); err != nil {
		return err
	}
	_, err = b.sh(ctx, "gone "+kind) // what follows its death is part of destroy for neither
	return err
}
