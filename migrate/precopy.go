package migrate

import (
	"time"

	"goxl/xenctrl/abi"
)

// Live says how a guest is moved while it runs. The zero value suspends it when
// the genuine tools would, or sooner where waiting is of no use.
type Live struct {
	// MaxRounds is after how many rounds the guest is suspended at the latest;
	// 0: 5, as the genuine tools, or 30 with MaxDowntime.
	MaxRounds int
	// FewPages is how few dirty pages are worth suspending for at once; 0: 50.
	FewPages abi.Pages
	// MaxDowntime, if not 0, has the guest suspended as soon as its dirty pages can
	// be sent within it, at the rate of the last round. It is an aim: a guest that
	// writes faster than that is suspended in the end all the same, and what comes
	// after the memory is not counted.
	MaxDowntime time.Duration
	// AutoConverge gives the guest less and less processor time while it writes more
	// than half as fast as its memory is sent, down to a tenth. It gets all of it back
	// when it is suspended, and however the migration ends. MaxRounds is 30 then.
	AutoConverge bool
}

// Source of the defaults: xg_sr_save.c, simple_precopy_policy.
const (
	defaultRounds   = 5
	defaultFewPages = 50
	patientRounds   = 30
)

// round is what came of one round of sending while the guest ran.
type round struct {
	sent  abi.Pages     // in it
	took  time.Duration // for that
	dirty abi.Pages     // written by the guest meanwhile, to be sent again
}

// enough decides after each round, of which at least one is done, whether to
// suspend the guest now: when little is left, when what is left can be sent in the
// downtime allowed, when the guest twice in a row wrote no less than was sent, so
// that more rounds change nothing, or when there were enough of them. Keep is how many
// percent of its processor time the guest has: while it can have less, more rounds do
// change something.
func (l *Live) enough(done []round, keep int) bool {
	last := done[len(done)-1]
	switch {
	case last.dirty < l.few():
		return true
	case l.MaxDowntime > 0 && last.downtime() <= l.MaxDowntime:
		return true
	case l.AutoConverge && keep > leastKept:
	case len(done) > 1 && !last.shrank() && !done[len(done)-2].shrank():
		return true
	}
	return len(done) >= l.rounds()
}

func (l *Live) rounds() int {
	switch {
	case l.MaxRounds > 0:
		return l.MaxRounds
	case l.MaxDowntime > 0 || l.AutoConverge:
		return patientRounds
	}
	return defaultRounds
}

func (l *Live) few() abi.Pages {
	if l.FewPages > 0 {
		return l.FewPages
	}
	return defaultFewPages
}

// leastKept is how many percent of its processor time a guest keeps at least: with
// less, it looks dead to those who use it.
const leastKept = 10

// keep is how many percent of its processor time the guest gets in the next round: seven
// tenths of what it had in the last one, while that left more than half as much to send
// as there was.
func (l *Live) keep(last round, had int) int {
	if !l.AutoConverge || 2*last.dirty <= last.sent {
		return had
	}
	return max(leastKept, had*7/10)
}

// shrank reports whether less is left to send than before the round.
func (r round) shrank() bool { return r.dirty < r.sent }

// downtime is how long it would take to send what is dirty at the rate of r.
func (r round) downtime() time.Duration {
	if r.dirty == 0 {
		return 0
	}
	if r.sent == 0 {
		return 1<<63 - 1 // nobody knows
	}
	return time.Duration(float64(r.took) / float64(r.sent) * float64(r.dirty))
}
