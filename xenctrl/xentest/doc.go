// Package xentest is for tests: it skips those that need a Xen host where there
// is none, and has an in-memory Xen to run everything else on.
package xentest
