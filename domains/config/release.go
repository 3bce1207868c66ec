package config

import (
	"fmt"
	"strconv"
	"strings"
)

// Release is a release of the Xen tools. It decides which members a Spec has in
// JSON, how the JSON is laid out, and which keys xl.cfg knows. It is that of the
// tools we stand in for, which is that of the running hypervisor.
type Release struct{ Major, Minor int }

// Oldest and Newest are the releases that this package knows apart. The zero
// Release stands for Newest.
var (
	Oldest = Release{4, 14}
	Newest = Release{4, 22}
)

// Before reports whether r is older than release major.minor.
func (r Release) Before(major, minor int) bool {
	r = r.orNewest()
	return r.Major < major || r.Major == major && r.Minor < minor
}

func (r Release) orNewest() Release {
	if r == (Release{}) {
		return Newest
	}
	return r
}

func (r Release) String() string { return fmt.Sprintf("%d.%d", r.Major, r.Minor) }

// parseRelease reads the "4.18" of a struct tag.
func parseRelease(s string) (Release, error) {
	major, minor, _ := strings.Cut(s, ".")
	a, err := strconv.Atoi(major)
	if err != nil {
		return Release{}, err
	}
	b, err := strconv.Atoi(minor)
	return Release{a, b}, err
}
