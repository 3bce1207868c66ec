package main

import (
	"log/syslog"
	"os"

	"go.uber.org/zap/zapcore"

	"goxl/domains/logs"
)

// newLogger writes to standard error, and in the background to the system's log.
func newLogger(verbose, background bool) *logs.Logger {
	level := zapcore.WarnLevel
	if verbose {
		level = zapcore.DebugLevel
	}
	if background {
		if w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_WARNING, "xenconsoled"); err == nil {
			return logs.New(&syslogCore{level, plainEncoder(), w})
		}
		return nil // nobody listens
	}
	return logs.New(zapcore.NewCore(timedEncoder(), zapcore.Lock(os.Stderr), level))
}

func timedEncoder() zapcore.Encoder {
	return zapcore.NewConsoleEncoder(zapcore.EncoderConfig{
		TimeKey: "T", LevelKey: "L", MessageKey: "M", EncodeLevel: zapcore.CapitalLevelEncoder,
		EncodeTime: zapcore.TimeEncoderOfLayout("2006-01-02 15:04:05.000"), EncodeDuration: zapcore.StringDurationEncoder,
	})
}

// plainEncoder leaves time and level to the system's log.
func plainEncoder() zapcore.Encoder {
	return zapcore.NewConsoleEncoder(zapcore.EncoderConfig{MessageKey: "M", ConsoleSeparator: " "})
}

// syslogCore writes entries to the system's log with their severity.
type syslogCore struct {
	zapcore.LevelEnabler
	enc zapcore.Encoder
	w   *syslog.Writer
}

func (c *syslogCore) With(fields []zapcore.Field) zapcore.Core {
	enc := c.enc.Clone()
	for i := range fields {
		fields[i].AddTo(enc)
	}
	return &syslogCore{c.LevelEnabler, enc, c.w}
}

func (c *syslogCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

func (c *syslogCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	b, err := c.enc.EncodeEntry(e, fields)
	if err != nil {
		return err
	}
	defer b.Free()
	text := b.String()
	switch {
	case e.Level >= zapcore.ErrorLevel:
		return c.w.Err(text)
	case e.Level == zapcore.WarnLevel:
		return c.w.Warning(text)
	case e.Level == zapcore.InfoLevel:
		return c.w.Info(text)
	}
	return c.w.Debug(text)
}

func (c *syslogCore) Sync() error { return nil }
