// Package daemon is what the programs that serve devices begin and end with: their log,
// their connection to xenstore, and what systemd is told.
package daemon

import (
	"context"
	"os"

	"go.uber.org/zap/zapcore"

	"goxl/cmd/internal/sdnotify"
	"goxl/domains/logs"
	"goxl/xenstore"
)

// Logger writes to standard error, one line for each message: every step if verbose.
func Logger(verbose bool) *logs.Logger {
	level := zapcore.InfoLevel
	if verbose {
		level = zapcore.DebugLevel
	}
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{
		TimeKey: "T", LevelKey: "L", MessageKey: "M", EncodeLevel: zapcore.CapitalLevelEncoder,
		EncodeTime: zapcore.TimeEncoderOfLayout("2006-01-02 15:04:05.000"), EncodeDuration: zapcore.StringDurationEncoder,
	})
	return logs.New(zapcore.NewCore(encoder, zapcore.Lock(os.Stderr), level))
}

// Dial connects to xenstore, and connects again whenever the connection is lost. The
// client is the caller's to close.
func Dial(ctx context.Context, log *logs.Logger) (*xenstore.Client, error) {
	return xenstore.Dial(ctx, xenstore.WithReconnect(func(err error) {
		if err != nil {
			log.Warn("lost xenstore", logs.Error(err))
			return
		}
		log.Warn("xenstore is back")
	}))
}

// Run runs what serves the devices, and tells systemd when that begins and ends.
func Run(ctx context.Context, log *logs.Logger, serve func(context.Context) error) error {
	tell(log, sdnotify.Ready)
	defer tell(log, sdnotify.Stopping)
	return serve(ctx)
}

func tell(log *logs.Logger, state string) {
	if err := sdnotify.Send(state); err != nil {
		log.Warn("systemd", logs.Error(err))
	}
}
