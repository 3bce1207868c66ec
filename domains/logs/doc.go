// Package logs is the toolstack's log: levels, texts and fields on a zapcore.Core.
//
//	m, err := domains.Open(ctx, domains.Options{Logger: logs.New(z.Core())}) // z is a *zap.Logger
//
// It is as much of zap's Logger as this tree uses. zap's own package links a web
// server, TLS and certificates into every program, and a command that runs for a
// few milliseconds spends a noticeable part of them on preparing those; zapcore,
// which does the work, does not.
package logs
