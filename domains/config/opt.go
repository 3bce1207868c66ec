package config

import "fmt"

// Opt is a value that may be absent. The zero Opt is absent. libxl keeps "not
// given" apart from 0 and from the empty string, and so must we: an absent member is
// left out of the JSON, and chosen when the guest is made.
type Opt[T comparable] struct {
	value T
	set   bool
}

// Some returns an Opt that holds v.
func Some[T comparable](v T) Opt[T] { return Opt[T]{v, true} }

// IsSet reports whether o holds a value.
func (o Opt[T]) IsSet() bool { return o.set }

// Get returns the value and whether there is one.
func (o Opt[T]) Get() (T, bool) { return o.value, o.set }

// Or returns the value, or def if there is none.
func (o Opt[T]) Or(def T) T {
	if o.set {
		return o.value
	}
	return def
}

// Value returns the value, or T's zero if there is none.
func (o Opt[T]) Value() T { return o.value }

// SetDefault gives o the value v unless it already has one.
func (o *Opt[T]) SetDefault(v T) {
	if !o.set {
		*o = Some(v)
	}
}

// String returns the value as fmt prints it, or the empty string.
func (o Opt[T]) String() string {
	if !o.set {
		return ""
	}
	return fmt.Sprint(o.value)
}

// Defbool is a boolean that may have been left to the toolstack.
// Source: libxl_defbool.
type Defbool int8

// The values of a Defbool; the zero value is Default.
const (
	Default Defbool = 0
	True    Defbool = 1
	False   Defbool = -1
)

// Bool returns True or False.
func Bool(b bool) Defbool {
	if b {
		return True
	}
	return False
}

// Or returns d as a bool, or def if d was left to the toolstack.
func (d Defbool) Or(def bool) bool {
	if d == Default {
		return def
	}
	return d == True
}

// SetDefault gives d the value b unless it already has one.
func (d *Defbool) SetDefault(b bool) {
	if *d == Default {
		*d = Bool(b)
	}
}

// String returns "True", "False" or "<default>", as libxl writes them.
func (d Defbool) String() string {
	switch d {
	case True:
		return "True"
	case False:
		return "False"
	}
	return "<default>"
}
