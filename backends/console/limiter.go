package console

import "time"

// How many events a guest may send in one period before it has to wait for the next.
const (
	eventAllowance = 30
	eventPeriod    = 200 * time.Millisecond
)

// limiter counts the events of one guest.
type limiter struct {
	since time.Time // of this period
	count int
}

// event counts one event at time now, and returns how long the next one has to wait.
func (l *limiter) event(now time.Time) time.Duration {
	if now.Sub(l.since) >= eventPeriod {
		l.since, l.count = now, 0
	}
	l.count++
	if l.count < eventAllowance {
		return 0
	}
	l.count = 0
	wait := l.since.Add(eventPeriod).Sub(now)
	l.since = now.Add(wait)
	return wait
}
