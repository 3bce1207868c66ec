package logs_test

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"goxl/domains/logs"
)

// What zap's own Logger would write for the same is what ours has to.
func TestWritesWhatZapWrites(t *testing.T) {
	why := errors.New("why")
	addr := netip.MustParseAddr("10.77.0.1")
	ours, oursSeen := observer.New(zapcore.InfoLevel)
	zaps, zapSeen := observer.New(zapcore.InfoLevel)
	l := logs.New(ours).With(logs.Uint16("dom", 65535), logs.String("kind", "vbd")).With()
	z := zap.New(zaps).With(zap.Uint16("dom", 65535), zap.String("kind", "vbd"))

	l.Debug("not asked for", logs.Int("n", 1))
	z.Debug("not asked for", zap.Int("n", 1))
	l.Info("all", logs.Strings("args", []string{"a", "b"}), logs.Stringer("addr", addr), logs.Bool("yes", true), logs.Bool("no", false),
		logs.Int("n", -3), logs.Uint64("big", 1<<63), logs.Duration("took", time.Second), logs.Error(why), logs.Error(nil))
	z.Info("all", zap.Strings("args", []string{"a", "b"}), zap.Stringer("addr", addr), zap.Bool("yes", true), zap.Bool("no", false),
		zap.Int("n", -3), zap.Uint64("big", 1<<63), zap.Duration("took", time.Second), zap.Error(why), zap.Error(nil))
	l.Warn("careful")
	z.Warn("careful")
	l.Error("not done", logs.Error(why))
	z.Error("not done", zap.Error(why))

	got, want := lines(oursSeen), lines(zapSeen)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("wrote\n%q\nzap writes\n%q", got, want)
	}
	if len(got) != 3 {
		t.Errorf("%d entries, want 3", len(got))
	}
}

func lines(o *observer.ObservedLogs) (all []string) {
	for _, e := range o.All() {
		all = append(all, fmt.Sprintf("%s %s %v", e.Level, e.Message, e.ContextMap()))
	}
	return all
}

func TestNilIsSilent(t *testing.T) {
	var l *logs.Logger
	l.With(logs.Int("n", 1)).Error("nobody hears this")
}

func TestEntriesCarryTheTime(t *testing.T) {
	core, seen := observer.New(zapcore.InfoLevel)
	before := time.Now()
	logs.New(core).Info("now")
	if at := seen.All()[0].Time; at.Before(before) || at.After(time.Now()) {
		t.Errorf("an entry of now says %v", at)
	}
}
