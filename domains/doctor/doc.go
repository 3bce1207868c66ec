// Package doctor looks over a Xen host and tells what an operator should know: what
// guests would miss there, what has been left behind that no running domain needs, and
// guests that somebody has to decide about. It only looks; each finding says what to
// do about it.
package doctor
