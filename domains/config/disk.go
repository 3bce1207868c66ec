package config

import "strings"

// ParseDisk reads the description of a disk, such as
// "/dev/vg/guest,raw,xvda,rw" or "format=qcow2,vdev=xvdb,target=/var/x.qcow2".
// Several descriptions are read as one, as block-attach does. The error is an
// *Error.
//
// Source: tools/libs/util/libxlu_disk_l.l.
func ParseDisk(rel Release, specs ...string) (Disk, error) {
	return parseDisk("command line", rel, specs...)
}

func parseDisk(source string, rel Release, specs ...string) (Disk, error) {
	p := diskParser{source: source, rel: rel, disk: Disk{ReadWrite: 1}}
	for _, spec := range specs {
		if len(spec) > maxSpec {
			spec = spec[:maxSpec] // far longer than any path
		}
		p.spec = spec
		p.scan(spec)
		if len(p.problems) > 0 {
			return p.disk, p.err()
		}
	}
	d := &p.disk
	if d.Format == FormatUnknown {
		d.Format = FormatRaw
	}
	if d.IsCDROM != 0 {
		d.Removable, d.ReadWrite = 1, 0
		if d.Path.Value() == "" {
			d.Format = FormatEmpty
		}
	}
	if !d.VDev.IsSet() {
		p.fail(nil, "no vdev specified")
	} else if !d.Path.IsSet() && d.Removable == 0 {
		p.fail(nil, "no target specified (and device not removable)")
	}
	if len(p.problems) > 0 {
		return p.disk, p.err()
	}
	return p.disk, nil
}

// maxSpec bounds the time that a hostile description takes.
const maxSpec = 64 << 10

// diskParser reads one disk.
type diskParser struct {
	source, spec string
	rel          Release
	disk         Disk
	problems     []Problem
	hadPrefix    bool // a deprecated prefix, so no format follows by position
	accessSet    bool
}

func (p *diskParser) err() error { return &Error{Problems: p.problems, Exit: 1} }

// fail notes a problem at the text near, if that is given.
func (p *diskParser) fail(near *string, msg string) {
	at := ""
	if near != nil {
		at = ": near `" + *near + "'"
	}
	p.problems = append(p.problems, Problem{
		File: p.source, Code: CodeDisk, Msg: "disk `" + p.spec + "': " + msg + at, Hint: diskAdvice(msg),
		Text: p.source + ": config parsing error in disk specification: " + msg + at + " in `" + p.spec + "'\n",
	})
}

func diskAdvice(msg string) string {
	switch msg {
	case "unknown value for format":
		return "raw, qcow, qcow2, vhd, qed or empty; the order is target, format, vdev, access"
	case "unknown value for access":
		return "r, ro, w or rw"
	case "unknown value for backendtype":
		return "phy, tap, qdisk or standalone"
	case "no vdev specified":
		return "name the disk in the guest, such as vdev=xvda"
	}
	return ""
}

// scan reads the parts of s, each time the longest that some rule matches, the
// earlier rule on a tie, as the flex scanner of xl does.
func (p *diskParser) scan(s string) {
	for s != "" {
		n := p.next(s)
		if n == 0 {
			return
		}
		s = s[n:]
	}
}

// next handles what s begins with and returns its length, or 0 to stop.
func (p *diskParser) next(s string) int {
	line := lineLen(s)
	pos := positionalLen(s)
	if n := blankLen(s); n > 0 && n+lineLen(s[n:]) >= pos {
		return n
	}
	if n := p.named(s, line, pos); n > 0 {
		return n
	}
	if word := prefixLen(s); word > 0 && p.prefixReach(s, word) >= pos {
		if !p.prefix(s[:word]) {
			return 0
		}
		return word
	}
	if pos > 0 {
		if !p.positional(strings.TrimSuffix(s[:pos], ",")) {
			return 0
		}
		return pos
	}
	if len(s) > 1 { // a lone character at the end goes unnoticed
		bad := s[:max(line, 1)]
		p.fail(&bad, "bad disk syntax")
	}
	return 0
}

// lineLen is how much of s a "." of flex reaches: not beyond a newline.
func lineLen(s string) int {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return i
	}
	return len(s)
}

func blankLen(s string) int { return len(s) - len(strings.TrimLeft(s, " \t\n")) }

// positionalLen is the length of a parameter without "=", with its comma. Only
// with a comma may it be empty.
func positionalLen(s string) int {
	i := strings.IndexAny(s, "=,")
	switch {
	case i < 0:
		return len(s)
	case s[i] == ',':
		return i + 1
	}
	return i
}

// value splits what follows a "key=" at the comma; n includes the comma.
func diskValue(s string) (val string, n int) {
	if i := strings.IndexByte(s, ','); i >= 0 {
		return s[:i], i + 1
	}
	return s, len(s)
}

// named handles parameters that are called by name. It returns 0 if there is
// none, or if a longer positional parameter begins with it.
func (p *diskParser) named(s string, line, pos int) int {
	key, rest, ok := strings.Cut(s, "=")
	if !ok || strings.IndexByte(key, ',') >= 0 {
		key = ""
	}
	if key == "target" {
		end := max(line, len("target="))
		p.set("target", &p.disk.Path, strings.TrimSuffix(s[len("target="):end], ","))
		return end
	}
	if key != "" {
		val, n := diskValue(rest)
		if n += len(key) + 1; p.setNamed(key, val, s[:n]) {
			return n
		}
	}
	unknown := 0
	if isDiskKey(key) && rest != "" && rest[0] != ',' {
		if unknown = len(key) + 2; unknown < len(s) && s[unknown] == ',' {
			unknown++
		}
	}
	if flag := p.flag(s); flag > 0 && flag >= max(pos, unknown) {
		p.setFlag(strings.TrimSuffix(s[:flag], ","))
		return flag
	}
	if unknown > 0 {
		bad := s[:unknown]
		p.fail(&bad, "unknown parameter")
	}
	return unknown
}

func isDiskKey(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || i > 0 && (c == '-' || '0' <= c && c <= '9')) {
			return false
		}
	}
	return s != ""
}

// flags are the parameters without a value, and since when. The lexer that 4.17
// and 4.18 ship does not know trusted, though their sources do.
var diskFlags = []struct {
	name  string
	since Release
}{
	{"cdrom", Release{}}, {"direct-io-safe", Release{}}, {"discard", Release{}}, {"no-discard", Release{}},
	{"colo", Release{}}, {"no-colo", Release{}},
	{"trusted", Release{4, 19}}, {"untrusted", Release{4, 19}},
	{"grant_usage=1", Release{4, 19}}, {"grant_usage=0", Release{4, 19}},
}

// flag returns the length of the flag that s begins with, its comma included.
func (p *diskParser) flag(s string) int {
	longest := 0
	for _, f := range diskFlags {
		if !strings.HasPrefix(s, f.name) || p.rel.Before(f.since.Major, f.since.Minor) {
			continue
		}
		n := len(f.name)
		if n < len(s) && s[n] == ',' {
			n++
		}
		longest = max(longest, n)
	}
	return longest
}

func (p *diskParser) setFlag(name string) {
	d := &p.disk
	switch name {
	case "cdrom":
		d.IsCDROM = 1
	case "direct-io-safe":
		d.DirectIOSafe = true
	case "discard", "no-discard":
		d.Discard = Bool(name == "discard")
	case "colo", "no-colo":
		d.COLO.Enable = Bool(name == "colo")
	case "trusted", "untrusted":
		d.Trusted = Bool(name == "trusted")
	case "grant_usage=1", "grant_usage=0":
		d.GrantUsage = Bool(name == "grant_usage=1")
	}
}

// prefixLen is the length of a "word:" at the start of s, or 0.
func prefixLen(s string) int {
	i := strings.IndexByte(s, ':')
	if i <= 0 || !isDiskKey(s[:i]) || strings.IndexByte(s[:i], '-') >= 0 {
		return 0
	}
	return i + 1
}

// prefixReach is how far the rule for a prefix looks: to the end of the line, but
// an unknown word that a letter or digit follows is looked at by itself.
func (p *diskParser) prefixReach(s string, word int) int {
	line := lineLen(s)
	if isKnownPrefix(s[:word-1]) || word < line && !isLowerAlnum(s[word]) {
		return line
	}
	return word
}

func isLowerAlnum(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func isKnownPrefix(word string) bool {
	switch word {
	case "raw", "qcow", "qcow2", "vhd", "iscsi", "nbd", "enbd", "drbd",
		"tapdisk", "tap", "tap2", "aio", "ioemu", "file", "phy":
		return true
	}
	return false
}

// prefix handles a deprecated prefix such as "phy:".
func (p *diskParser) prefix(word string) bool {
	name := strings.TrimSuffix(word, ":")
	if !isKnownPrefix(name) {
		p.fail(&word, "unknown deprecated disk prefix")
		return false
	}
	p.hadPrefix = true
	switch name {
	case "raw", "qcow", "qcow2", "vhd":
		p.setFormat(name)
	case "iscsi", "nbd", "enbd", "drbd":
		p.set("script", &p.disk.Script, "block-"+name)
	}
	return true
}
