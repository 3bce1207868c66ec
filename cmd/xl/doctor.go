package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"goxl/domains/doctor"
)

// doctorVerb looks over the host.
const doctorVerb = "doctor"

// doctorCommand is "xl doctor [--json]".
func doctorCommand(a *app) *command {
	asJSON := false
	return a.new(doctorVerb, body{
		table: optionTable{"j", []longOption{{"json", false, 'j'}}},
		opt:   func(byte, string) error { asJSON = true; return nil },
		run: func(ctx context.Context, args []string) error {
			if len(args) > 0 {
				a.out.WriteString(helpCommand(a.release, doctorVerb))
				return exitStatus(2)
			}
			ctx, stop := interruptible(ctx)
			defer stop()
			return a.doctor(ctx, asJSON)
		},
	})
}

// doctor says what it found, and ends with 1 if there is a problem.
func (a *app) doctor(ctx context.Context, asJSON bool) error {
	list := doctor.Examine(ctx, a.host.domains, doctor.Options{})
	problems := 0
	for _, f := range list {
		if f.Level == doctor.Trouble {
			problems++
		}
	}
	if asJSON {
		text, err := doctorJSON(list)
		if err != nil {
			return err
		}
		a.out.WriteString(text)
	} else {
		a.out.WriteString(doctorText(list, problems))
	}
	if problems > 0 {
		return exitStatus(1)
	}
	return nil
}

// doctorText is one line for each finding, with what to do below it.
func doctorText(list []doctor.Finding, problems int) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "%-8s %-20s %s\n", f.Level, f.About, f.Text)
		if f.Advice != "" {
			fmt.Fprintf(&b, "%29s -> %s\n", "", f.Advice)
		}
	}
	switch problems {
	case 0:
		b.WriteString("no problems\n")
	case 1:
		b.WriteString("1 problem\n")
	default:
		fmt.Fprintf(&b, "%d problems\n", problems)
	}
	return b.String()
}

// doctorJSON is an array with an object for each finding.
func doctorJSON(list []doctor.Finding) (string, error) {
	type finding struct {
		Level  string `json:"level"` // "ok", "note" or "problem"
		About  string `json:"about"`
		Text   string `json:"text"`
		Advice string `json:"advice,omitempty"`
	}
	all := make([]finding, len(list))
	for i, f := range list {
		all[i] = finding{strings.ToLower(f.Level.String()), f.About, f.Text, f.Advice}
	}
	text, err := json.MarshalIndent(all, "", "    ")
	return string(text) + "\n", err
}
