package migrate

import (
	"time"

	"goxl/migrate/disks"
	"goxl/xenctrl/abi"
)

// Timeline is where the time of a migration went, as the sender saw it. What was
// not reached is 0.
type Timeline struct {
	Connect  time.Duration // until the receiver greeted
	Headers  time.Duration // what stands before the memory
	Disks    []disks.Round // of disks that go along, while the guest ran
	Rounds   []Round       // of memory, while the guest ran
	Suspend  time.Duration // from the request until its vcpus stood
	Memory   time.Duration // what was left of it
	DiskRest disks.Round   // of the disks, after that
	State    time.Duration // vcpus and what else stands after the memory
	Receive  time.Duration // until the receiver had everything and its devices were there
	HandOver time.Duration // until it had permission
	Start    time.Duration // until it reported that the guest runs

	// Slowest is how many percent of its processor time the guest had at least, for
	// AutoConverge; 0: it was not slowed down.
	Slowest int

	Rest   abi.Pages // sent with their contents while the guest was suspended
	Stream int64     // bytes of the stream
	Wire   int64     // bytes that went out, packed or not

	Streams    int // connections that the guest went over directly; 0: it went over the channel
	Reconnects int // of them that were lost and made anew
}

// Round is one round of sending while the guest ran.
type Round struct {
	Sent  abi.Pages // with their contents
	Took  time.Duration
	Dirty abi.Pages // written by the guest meanwhile
}

// DirtyRate is how many pages a second the guest wrote in the round: different
// ones, not writes.
func (r Round) DirtyRate() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(r.Dirty) / r.Took.Seconds()
}

// Pause is how long the guest did not run: from when its vcpus stood here until
// the receiver reported.
func (t *Timeline) Pause() time.Duration {
	return t.Memory + t.DiskRest.Took + t.State + t.Receive + t.HandOver + t.Start
}

// elapsed adds the time until the returned function is called.
func elapsed(to *time.Duration) func() {
	begin := time.Now()
	return func() { *to += time.Since(begin) }
}

// Pace is how fast guests go one way. The zero value is not known.
type Pace struct {
	KiBPerSecond float64       // of guest memory, packed or not
	Fixed        time.Duration // of a pause, whatever the size
}

// AssumedPace is that of a way of which nothing is known: a link of 1 Gbit/s.
var AssumedPace = Pace{KiBPerSecond: 110 << 10, Fixed: time.Second}

// Pace is how fast the migration was; false when it was over too soon to tell.
func (t *Timeline) Pace() (Pace, bool) {
	pages, took := t.Rest, t.Memory
	for _, r := range t.Rounds {
		pages, took = pages+r.Sent, took+r.Took
	}
	if pages == 0 || took <= 0 || t.Start == 0 {
		return Pace{}, false
	}
	return Pace{float64(pages.KiB()) / took.Seconds(), t.State + t.Receive + t.HandOver + t.Start}, true
}

// Predict is how long a guest of that size pauses that is suspended, moved and
// resumed.
func (p Pace) Predict(size abi.KiB) time.Duration {
	return p.Fixed + time.Duration(float64(size)/p.KiBPerSecond*float64(time.Second))
}
