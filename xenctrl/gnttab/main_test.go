package gnttab_test

import (
	"testing"

	"goxl/xenctrl/xentest"
)

func TestMain(m *testing.M) { xentest.Main(m) }
