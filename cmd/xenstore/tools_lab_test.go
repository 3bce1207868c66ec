package main

import (
	"testing"

	"goxl/xenctrl/xentest"
)

// TestLabGenuineTools compares with the genuine tools of the running release, on
// its own daemon.
func TestLabGenuineTools(t *testing.T) {
	xentest.NeedXen(t)
	compare(t, "/usr/bin", "", true)
}
