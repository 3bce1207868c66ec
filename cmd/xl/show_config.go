package main

import (
	"context"
	"fmt"
	"strings"

	"goxl/domains"
	"goxl/domains/config"
)

// showConfig prints a configuration as create -n and config-update -d do: on
// stdout, or on stderr.
func (a *app) showConfig(spec *config.Spec, onStderr bool) error {
	if a.host.conf.OutputSXP {
		return &failure{status: 1, cause: &notYet{`output_format="sxp" of xl.conf`}}
	}
	b := config.AppendJSON(nil, spec, a.host.configRelease())
	if onStderr {
		_, err := a.env.stderr.Write(b)
		return err
	}
	_, err := a.out.Write(b)
	return err
}

// listLong prints the configurations of domains. One that cannot be read, such
// as domain 0's on many hosts, is left out with a word about it.
func (a *app) listLong(ctx context.Context, list []domains.Domain) error {
	if a.host.conf.OutputSXP {
		return &failure{status: 1, cause: &notYet{`output_format="sxp" of xl.conf`}}
	}
	var readable []config.Domain
	for _, d := range list {
		spec, err := a.host.domains.ConfigOf(ctx, d.ID)
		if err != nil {
			a.rep.report(&failure{cause: err})
			continue
		}
		readable = append(readable, config.Domain{ID: d.ID, Config: spec})
	}
	_, err := fmt.Fprintf(a.out, "%s\n", config.AppendList(nil, readable, a.host.configRelease()))
	return err
}

// showUpdate prints a configuration as config-update does, within an object that
// has room for a domain id.
func (a *app) showUpdate(spec *config.Spec) error {
	rel := a.host.configRelease()
	body := strings.TrimRight(string(config.AppendJSON(nil, spec, rel)), "\n")
	indent, colon, end := "    ", ": ", "\n"
	if !rel.Before(4, 21) { // another JSON library
		indent, colon, end = "  ", ":", ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "{\n%s\"domid\"%snull,\n%s\"config\"%s", indent, colon, indent, colon)
	for i, line := range strings.Split(body, "\n") {
		if i > 0 {
			b.WriteByte('\n')
			if line != "" {
				b.WriteString(indent)
			}
		}
		b.WriteString(line)
	}
	b.WriteString("\n}" + end)
	_, err := a.out.WriteString(b.String())
	return err
}
