package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"goxl/domains"
	"goxl/domains/config"
)

// failure ends a command with an exit status. Text is what the genuine xl prints
// in this case, scripts match it; cause is what a person wants to know.
type failure struct {
	status int
	text   string // without the closing newline; "" when the genuine xl is silent
	cause  error  // nil when there is nothing to add
	said   bool   // the text says all that cause does; only JSON has both
}

func (f *failure) Error() string {
	if f.cause == nil {
		return f.text
	}
	return f.cause.Error()
}

func (f *failure) Unwrap() error { return f.cause }

// failf ends a command with status 1, for cause, with the genuine xl's text.
func failf(cause error, format string, args ...any) error {
	return &failure{status: 1, text: fmt.Sprintf(format, args...), cause: cause}
}

// saidf is failf where the text leaves nothing to add: cause is for --json-errors.
func saidf(cause error, format string, args ...any) error {
	return &failure{status: 1, text: fmt.Sprintf(format, args...), cause: cause, said: true}
}

// exitStatus ends a command with a status and no further text.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// reporter writes what went wrong to stderr, as text or as JSON objects.
type reporter struct {
	w    io.Writer
	json bool
}

// report prints err and returns the exit status it stands for.
func (r *reporter) report(err error) int {
	var status exitStatus
	if err == nil {
		return 0
	}
	if errors.As(err, &status) {
		return int(status)
	}
	f := &failure{status: 1, cause: err}
	errors.As(err, &f)
	if r.json {
		r.object(f)
		return f.status
	}
	if f.cause != nil && !f.said {
		fmt.Fprintf(r.w, "xl: %s [%s]\n", oneLine(f.cause.Error()), domains.CodeOf(f.cause))
	}
	if f.text != "" {
		fmt.Fprintln(r.w, f.text)
	}
	return f.status
}

// object prints one failure as a JSON object on a line of its own.
func (r *reporter) object(f *failure) {
	o := struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Advice  string `json:"advice,omitempty"`
		XL      string `json:"xl,omitempty"` // the genuine xl's text
		Status  int    `json:"status"`
	}{Code: "usage", Message: strings.TrimRight(f.text, "\n"), XL: f.text, Status: f.status}
	if f.cause != nil {
		o.Code = domains.CodeOf(f.cause)
		o.Message, o.Advice = split(f.cause)
	}
	b, err := json.Marshal(o)
	if err != nil { // strings and a number: cannot be
		panic(err)
	}
	fmt.Fprintf(r.w, "%s\n", b)
}

// oneLine joins the lines of a joined error.
func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ") }

// split takes an error apart into what happened and what to do about it.
func split(err error) (message, advice string) {
	var failed *domains.Error
	var bad *config.Error
	switch {
	case errors.As(err, &failed):
		advice = failed.Hint
	case errors.As(err, &bad):
		advice = bad.Problems[0].Hint
	}
	message = oneLine(err.Error())
	if advice != "" {
		message = strings.Replace(message, " ("+advice+")", "", 1)
	}
	return message, advice
}
