package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
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
		fmt.Fprintf(r.w, "xl: %s [%s]\n", oneLine(f.cause.Error()), codeOf(f.cause))
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
		o.Code, o.Message, o.Advice = codeOf(f.cause), messageOf(f.cause), adviceOf(f.cause)
	}
	b, err := json.Marshal(o)
	if err != nil { // strings and a number: cannot be
		panic(err)
	}
	fmt.Fprintf(r.w, "%s\n", b)
}

// codeOf returns the stable code in err's chain, "failed" when it has none.
func codeOf(err error) string {
	var coded interface{ Code() string }
	if errors.As(err, &coded) {
		return coded.Code()
	}
	return "failed"
}

// rcOf returns libxl's number for err, which stands in some texts and exit
// statuses: 0 for nil, -3 (ERROR_FAIL) when the chain has none.
func rcOf(err error) int {
	var numbered interface{ RC() int }
	switch {
	case err == nil:
		return 0
	case errors.As(err, &numbered):
		return numbered.RC()
	}
	return -3
}

// oneLine joins the lines of a joined error.
func oneLine(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ") }

// messageOf and adviceOf split an error into what happened and what to do.
func messageOf(err error) string { return oneLine(err.Error()) }

func adviceOf(err error) string {
	var a interface{ Advice() string }
	if errors.As(err, &a) {
		return a.Advice()
	}
	return ""
}
