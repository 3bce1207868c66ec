package main

import (
	"context"
	"fmt"
	"io"

	"goxl/domains"
	"goxl/domains/config"
)

// showConfig prints a configuration as create -n and config-update -d do: on
// stdout, or on stderr.
func (a *app) showConfig(spec *config.Spec, onStderr bool) error {
	var w io.Writer = a.out
	if onStderr {
		w = a.env.stderr
	}
	if a.host.conf.OutputSXP {
		return a.showSXP(w, spec, -1, config.SXPFacts{})
	}
	_, err := w.Write(config.AppendJSON(nil, spec, a.host.configRelease()))
	return err
}

// listLong prints the configurations of domains. One that cannot be read, such
// as domain 0's on many hosts, is left out with a word about it.
func (a *app) listLong(ctx context.Context, list []domains.Domain) error {
	var readable []config.Domain
	for _, d := range list {
		spec, err := a.host.domains.ConfigOf(ctx, d.ID)
		if err != nil {
			a.rep.report(&failure{cause: err})
			continue
		}
		if a.host.conf.OutputSXP {
			if err := a.showSXP(a.out, spec, int(d.ID), config.SXPFacts{UUID: d.UUID}); err != nil {
				return err
			}
			continue
		}
		readable = append(readable, config.Domain{ID: d.ID, Config: spec})
	}
	if a.host.conf.OutputSXP {
		return nil
	}
	_, err := fmt.Fprintf(a.out, "%s\n", config.AppendList(nil, readable, a.host.configRelease()))
	return err
}

// showUpdate prints a configuration as config-update does, within an object that
// has room for a domain id.
func (a *app) showUpdate(spec *config.Spec) error {
	if a.host.conf.OutputSXP {
		return a.showSXP(a.out, spec, -1, config.SXPFacts{})
	}
	_, err := a.out.Write(config.AppendDomain(nil, -1, spec, a.host.configRelease()))
	return err
}

// showSXP prints a configuration in the old form. Guests that have none leave it
// cut off, and an error.
func (a *app) showSXP(w io.Writer, spec *config.Spec, id int, facts config.SXPFacts) error {
	b, bad := spec.AppendSXP(nil, id, facts)
	if _, err := w.Write(b); err != nil {
		return err
	}
	return configFailure(bad)
}
