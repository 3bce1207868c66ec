package logs

import (
	"fmt"
	"time"

	"go.uber.org/zap/zapcore"
)

// Logger hands entries to a core. The nil Logger is silent. It may be used from
// several goroutines at once.
type Logger struct{ core zapcore.Core }

// New returns a Logger on core, which stays the caller's to sync.
func New(core zapcore.Core) *Logger { return &Logger{core} }

// With returns a Logger that adds fields to each entry.
func (l *Logger) With(fields ...Field) *Logger {
	if l == nil || len(fields) == 0 {
		return l
	}
	return &Logger{l.core.With(fields)}
}

// Debug is for changes of state.
func (l *Logger) Debug(text string, fields ...Field) { l.write(zapcore.DebugLevel, text, fields) }

// Info is for what an operator asks for a day later.
func (l *Logger) Info(text string, fields ...Field) { l.write(zapcore.InfoLevel, text, fields) }

// Warn is for what went on in another way than it should have.
func (l *Logger) Warn(text string, fields ...Field) { l.write(zapcore.WarnLevel, text, fields) }

// Error is for what was not done.
func (l *Logger) Error(text string, fields ...Field) { l.write(zapcore.ErrorLevel, text, fields) }

func (l *Logger) write(level zapcore.Level, text string, fields []Field) {
	if l == nil {
		return
	}
	if e := l.core.Check(zapcore.Entry{Level: level, Time: time.Now(), Message: text}, nil); e != nil {
		e.Write(fields...)
	}
}

// Field is a named value beside an entry's text.
type Field = zapcore.Field

// String is a field that holds a text.
func String(key, v string) Field { return Field{Key: key, Type: zapcore.StringType, String: v} }

// Strings is a field that holds a list of texts.
func Strings(key string, v []string) Field {
	return Field{Key: key, Type: zapcore.ArrayMarshalerType, Interface: list(v)}
}

// Stringer is a field that holds what v says of itself when the entry is written.
func Stringer(key string, v fmt.Stringer) Field {
	return Field{Key: key, Type: zapcore.StringerType, Interface: v}
}

// Bool is a field that holds a yes or no.
func Bool(key string, v bool) Field {
	f := Field{Key: key, Type: zapcore.BoolType}
	if v {
		f.Integer = 1
	}
	return f
}

// Int is a field that holds a number.
func Int(key string, v int) Field {
	return Field{Key: key, Type: zapcore.Int64Type, Integer: int64(v)}
}

// Uint16 is a field that holds a number, such as a domain's.
func Uint16(key string, v uint16) Field {
	return Field{Key: key, Type: zapcore.Uint16Type, Integer: int64(v)}
}

// Uint64 is a field that holds a number.
func Uint64(key string, v uint64) Field {
	return Field{Key: key, Type: zapcore.Uint64Type, Integer: int64(v)}
}

// Duration is a field that holds a time span.
func Duration(key string, v time.Duration) Field {
	return Field{Key: key, Type: zapcore.DurationType, Integer: int64(v)}
}

// Error is the field "error"; nil leaves it out.
func Error(err error) Field {
	if err == nil {
		return Field{Type: zapcore.SkipType}
	}
	return Field{Key: "error", Type: zapcore.ErrorType, Interface: err}
}

type list []string

// MarshalLogArray implements zapcore.ArrayMarshaler.
func (l list) MarshalLogArray(a zapcore.ArrayEncoder) error {
	for _, s := range l {
		a.AppendString(s)
	}
	return nil
}
