package hostile_test

import (
	"os"
	"testing"

	"goxl/lab/hostile"
)

// sectors is the size of each disk of the hostile guest.
const sectors = 8192

// TestMain is the guest's program, too, under its name.
func TestMain(m *testing.M) {
	if hostile.IsProgram() {
		os.Exit(hostile.Main(os.Stdout, os.Getenv(hostile.Only)))
	}
	os.Exit(m.Run())
}
