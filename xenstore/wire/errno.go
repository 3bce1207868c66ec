package wire

import "syscall"

// errnos are the errors that travel by name (xsd_errors in xs_wire.h). EQUOTA
// is oxenstored's own: libxenstore does not know it and reports EINVAL.
var errnos = [...]struct {
	name string
	no   syscall.Errno
}{
	{"EINVAL", syscall.EINVAL},
	{"EACCES", syscall.EACCES},
	{"EEXIST", syscall.EEXIST},
	{"EISDIR", syscall.EISDIR},
	{"ENOENT", syscall.ENOENT},
	{"ENOMEM", syscall.ENOMEM},
	{"ENOSPC", syscall.ENOSPC},
	{"EIO", syscall.EIO},
	{"ENOTEMPTY", syscall.ENOTEMPTY},
	{"ENOSYS", syscall.ENOSYS},
	{"EROFS", syscall.EROFS},
	{"EBUSY", syscall.EBUSY},
	{"EAGAIN", syscall.EAGAIN},
	{"EISCONN", syscall.EISCONN},
	{"E2BIG", syscall.E2BIG},
	{"EPERM", syscall.EPERM},
}

// Error is a refusal by the store, kept by the name that travelled.
type Error string

// ParseError returns the error of an OpError packet's payload.
func ParseError(payload []byte) Error { return Error(TrimNUL(payload)) }

// ErrorOf returns the name under which errno no travels, EINVAL when it has none.
func ErrorOf(no syscall.Errno) Error {
	for _, e := range errnos {
		if e.no == no {
			return Error(e.name)
		}
	}
	return "EINVAL"
}

// Errno returns the errno that libxenstore reports: EINVAL for unknown names.
func (e Error) Errno() syscall.Errno {
	for _, n := range errnos {
		if n.name == string(e) {
			return n.no
		}
	}
	return syscall.EINVAL
}

// Quota reports whether the store refused because a limit is reached: ENOSPC
// from the C daemon, EQUOTA from oxenstored.
func (e Error) Quota() bool { return e == "ENOSPC" || e == "EQUOTA" }

func (e Error) Error() string {
	switch {
	case e == "":
		return "unnamed error"
	case e == "EQUOTA":
		return "quota exceeded (EQUOTA)"
	case e.Errno() == syscall.EINVAL && e != "EINVAL":
		return "error " + quoteName(string(e))
	}
	return e.Errno().Error()
}

// Unwrap makes errors.Is reach the errno.
func (e Error) Unwrap() error { return e.Errno() }

// quoteName bounds and cleans a name that came from the other side.
func quoteName(s string) string {
	b := []byte(s[:min(len(s), 32)])
	for i, c := range b {
		if c <= ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}
