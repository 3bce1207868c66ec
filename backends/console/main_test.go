package console

import (
	"testing"

	"goxl/xenctrl/xentest"
)

func TestMain(m *testing.M) { xentest.Main(m) }
