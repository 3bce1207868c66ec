package xenctrl_test

import (
	"log"
	"testing"

	"goxl/xenctrl/xentest"
)

// exampleT is as much of a test as an example has.
type exampleT struct {
	testing.TB
	cleanup []func()
}

func (*exampleT) Helper()                        {}
func (t *exampleT) Cleanup(f func())             { t.cleanup = append(t.cleanup, f) }
func (*exampleT) Errorf(format string, a ...any) { log.Printf(format, a...) }
func (*exampleT) Fatalf(format string, a ...any) { log.Fatalf(format, a...) }

// machine returns an in-memory Xen for an example, and what ends it.
func machine() (*xentest.Machine, func()) {
	t := &exampleT{}
	m := xentest.New(t, xentest.Config{})
	return m, func() {
		for _, f := range t.cleanup {
			f()
		}
	}
}
