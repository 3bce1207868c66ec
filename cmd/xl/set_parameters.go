package main

import (
	"context"
	"strings"
)

// setParametersCommand is "xl set-parameters <Params>": settings of Xen's command
// line that can be changed later, each "name=value" or "[no]name".
func setParametersCommand(a *app) *command {
	return a.new("set-parameters", body{min: 1, run: func(ctx context.Context, args []string) error {
		for _, p := range parameters(args[0]) {
			if err := a.host.xen.HypfsWrite("/params/"+p.name, p.value); err != nil {
				return failf(err, "cannot set parameters: %s", args[0])
			}
		}
		return nil
	}})
}

type parameter struct{ name, value string }

// parameters splits a list of settings. One without a value that starts with
// "no" is switched off; any other one without a value is not sensible and is
// passed on for Xen to refuse.
func parameters(text string) []parameter {
	var list []parameter
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' }) {
		name, value, ok := strings.Cut(word, "=")
		if off, found := strings.CutPrefix(name, "no"); !ok && found {
			name, value = off, "no"
		}
		list = append(list, parameter{name, value})
	}
	return list
}
