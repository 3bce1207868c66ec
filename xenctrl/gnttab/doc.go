// Package gnttab maps memory that other domains granted, copies from and to it,
// and grants memory of our own.
package gnttab

import "goxl/xenctrl/abi"

// Names of the values that methods take.
type (
	DomID    = abi.DomID
	GrantRef = abi.GrantRef
	Port     = abi.Port
)
