package main

import (
	"os"
	"testing"
)

// asXL in the environment makes this test binary behave as xl.
const asXL = "GOXL_TEST_AS_XL=1"

func TestMain(m *testing.M) {
	if os.Getenv("GOXL_TEST_AS_XL") != "" {
		main()
	}
	os.Exit(m.Run())
}
