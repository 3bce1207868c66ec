package config

import (
	"fmt"
	"math"
)

// presence is the outcome of reading a key.
type presence int

const (
	given    presence = iota // and usable
	absent                   // not in the file
	unusable                 // in the file, but of the wrong type
)

// settings reads the keys of a file, and keeps what it had to warn about.
type settings struct {
	file     string
	byName   map[string]*setting
	last     *setting // the one read last; errors point there
	warnings []Warning
}

// loud and quiet say whether an unusable value is warned about.
const (
	loud  = false
	quiet = true
)

// find returns what key was last set to, or nil. It marks the key as used.
func (s *settings) find(key string) *setting {
	set := s.byName[key]
	if set != nil {
		set.used = true
		s.last = set
	}
	return set
}

// ignored undoes that key was read: noteUnused will say why.
func (s *settings) ignored(key, why string) {
	if set := s.byName[key]; set != nil {
		set.used, set.why = false, why
	}
}

// note keeps a warning that has xl's text.
func (s *settings) note(code, text string, args ...any) {
	text = fmt.Sprintf(text, args...)
	s.warnings = append(s.warnings, Warning{File: s.file, Code: code, Msg: plain(text), Text: text})
}

// noteOurs keeps a warning that xl does not give.
func (s *settings) noteOurs(code, msg, hint string) {
	w := Warning{File: s.file, Code: code, Msg: msg, Hint: hint}
	if s.last != nil {
		w.Line, w.Column = s.last.line, s.last.column
	}
	s.warnings = append(s.warnings, w)
}

// noteAt is note for a message about one setting.
func (s *settings) noteAt(set *setting, code, msg string, args ...any) {
	msg = fmt.Sprintf(msg, args...)
	s.warnings = append(s.warnings, Warning{
		File: s.file, Line: set.line, Column: set.column, Code: code, Msg: msg,
		Hint: "it is ignored",
		Text: fmt.Sprintf("%s:%d: warning: %s\n", s.file, set.line, msg),
	})
}

func (s *settings) atom(key string, silent bool) (*setting, presence) {
	set := s.find(key)
	if set == nil {
		return nil, absent
	}
	if set.val.isList {
		if !silent {
			s.noteAt(set, CodeType, "parameter `%s' is a list but should be a single value", key)
		}
		return set, unusable
	}
	return set, given
}

// text reads a single value.
func (s *settings) text(key string, silent bool) (string, presence) {
	set, p := s.atom(key, silent)
	if p != given {
		return "", p
	}
	return set.val.text, given
}

// number reads a number as C's long.
func (s *settings) number(key string, silent bool) (int64, presence) {
	v, p, _ := s.bounded(key, math.MinInt64, math.MaxInt64, silent)
	return v, p
}

// bounded reads a number; the problem says why it was unusable.
func (s *settings) bounded(key string, lo, hi int64, silent bool) (int64, presence, string) {
	set, p := s.atom(key, silent)
	if p != given {
		return 0, p, "it is a list but should be a single value"
	}
	v, why := boundedNumber(set, lo, hi)
	if why == "" {
		return v, given, ""
	}
	if !silent {
		s.noteAt(set, CodeType, "%s", why)
	}
	return 0, unusable, why
}

func boundedNumber(set *setting, lo, hi int64) (int64, string) {
	v, rest, ok, inRange := scanInt(set.val.text, 0)
	switch {
	case set.added:
		return 0, fmt.Sprintf("can't use += with numbers for parameter `%s'", set.name)
	case !inRange:
		return 0, fmt.Sprintf("parameter `%s' could not be parsed as a number: Numerical result out of range", set.name)
	case !ok || rest != "":
		return 0, fmt.Sprintf("parameter `%s' is not a valid number", set.name)
	case v < lo:
		return 0, fmt.Sprintf("value `%d' is smaller than minimum bound '%d'", v, lo)
	case v > hi:
		return 0, fmt.Sprintf("value `%d' is greater than maximum bound '%d'", v, hi)
	}
	return v, ""
}

// list reads a list.
func (s *settings) list(key string, silent bool) ([]*value, presence) {
	set := s.find(key)
	if set == nil {
		return nil, absent
	}
	if !set.val.isList {
		if !silent {
			s.noteAt(set, CodeType, "parameter `%s' is a single value but should be a list", key)
		}
		return nil, unusable
	}
	return set.val.list, given
}

// texts reads a list up to its first element that is itself a list, which is how
// far xl looks.
func (s *settings) texts(key string) ([]string, bool) {
	values, p := s.list(key, loud)
	if p != given {
		return nil, false
	}
	return textsOf(values), true
}

func textsOf(values []*value) []string {
	var texts []string
	for _, v := range values {
		if v.isList {
			break
		}
		texts = append(texts, v.text)
	}
	return texts
}

// The setters change what they point to only if the key is there and usable.

func (s *settings) setText(key string, dst *Opt[string]) bool {
	v, p := s.text(key, loud)
	if p == given {
		*dst = Some(v)
	}
	return p == given
}

func (s *settings) setBool(key string, dst *Defbool) bool {
	v, p := s.number(key, loud)
	if p == given {
		*dst = Bool(v != 0)
	}
	return p == given
}

// setInt sets what C keeps in an int: the upper half of the number is lost.
func (s *settings) setInt(key string, dst *int) {
	if v, p := s.number(key, loud); p == given {
		*dst = int(int32(v))
	}
}

// setOptInt is setInt for a member whose default is C's -1.
func (s *settings) setOptInt(key string, dst *Opt[int]) {
	if v, p := s.number(key, loud); p == given {
		*dst = optInt(int32(v))
	}
}

// setUint32 sets what C keeps in a uint32_t.
func (s *settings) setUint32(key string, dst *uint32) {
	if v, p := s.number(key, loud); p == given {
		*dst = uint32(v)
	}
}

// setMiB sets an amount of memory that is given in MiB.
func (s *settings) setMiB(key string, dst *MemKB) {
	if v, p := s.number(key, loud); p == given {
		*dst = memKB(uint64(v) * 1024)
	}
}
