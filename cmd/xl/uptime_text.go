package main

import (
	"fmt"
	"time"

	"goxl/domains"
)

// uptimeHeader is the first line of the long form of "xl uptime".
func uptimeHeader() string { return fmt.Sprintf("%-33s %4s %s\n", "Name", "ID", "Uptime") }

// uptimeLine is the line of one domain that is up for a time. The short form
// says at which time of day it is true, and has no seconds.
func uptimeLine(d *domains.Domain, up time.Duration, short bool, now time.Time) string {
	if short {
		return fmt.Sprintf(" %s up %s, %s (%d)\n", now.Format(time.TimeOnly), uptimeText(up, true), nameOf(d), d.ID)
	}
	return fmt.Sprintf("%-33s %4d %s\n", nameOf(d), d.ID, uptimeText(up, false))
}

func uptimeText(up time.Duration, short bool) string {
	s := int64(up / time.Second)
	days, h, m := s/86400, s/3600%24, s/60%60
	text := fmt.Sprintf("%2d:%02d", h, m)
	if !short {
		text += fmt.Sprintf(":%02d", s%60)
	}
	switch {
	case days > 1:
		return fmt.Sprintf("%d days, %s", days, text)
	case days == 1:
		return "1 day, " + text
	}
	return text
}
