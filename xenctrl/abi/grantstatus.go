package abi

import (
	"fmt"
	"syscall"
)

// GrantStatus is the status of a grant operation, a GNTST_ number; as an error
// it is a refusal by the grant table.
type GrantStatus int16

func (s GrantStatus) Error() string {
	if n, ok := grantStatusTexts()[s]; ok {
		return "grant table: " + n
	}
	return fmt.Sprintf("grant table: status %d", int16(s))
}

func grantStatusTexts() map[GrantStatus]string {
	return map[GrantStatus]string{
		GrantError: "general error", GrantBadDomain: "bad domain", GrantBadRef: "bad grant reference",
		GrantBadHandle: "bad handle", GrantNoDevice: "no device space", GrantPermission: "permission denied",
		GrantBadPage: "bad page", GrantBadCopyArg: "bad copy argument", GrantAddressBig: "address too big",
		GrantTryAgain: "page is busy, try again", GrantNoSpace: "no space",
	}
}

// Is maps the refusals that callers act on to errnos.
func (s GrantStatus) Is(target error) bool {
	switch s {
	case GrantBadDomain:
		return target == syscall.ESRCH
	case GrantPermission:
		return target == syscall.EPERM
	case GrantTryAgain:
		return target == syscall.EAGAIN
	case GrantNoSpace:
		return target == syscall.ENOSPC
	}
	return target == syscall.EINVAL
}
