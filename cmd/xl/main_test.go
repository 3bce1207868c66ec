package main

import (
	"os"
	"testing"

	"goxl/cmd/internal/oneproc"
)

// asXL in the environment makes this test binary behave as xl.
const asXL = "GOXL_TEST_AS_XL=1"

func TestMain(m *testing.M) {
	if os.Getenv("GOXL_TEST_AS_XL") != "" {
		main()
	}
	oneproc.All()
	os.Exit(m.Run())
}
