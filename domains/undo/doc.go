// Package undo is a rollback stack: each step that makes something pushes how
// to take it away again, and whatever was pushed is undone, newest first, unless
// the whole operation commits.
//
//	func create(ctx context.Context) (err error) {
//		var u undo.Stack
//		defer u.Rollback(ctx, &err)
//
//		f, err := os.Create("/run/x")
//		if err != nil {
//			return err
//		}
//		u.Push("create /run/x", func(context.Context) error { return os.Remove(f.Name()) })
//		…
//		u.Commit() // after the last step that can fail
//		return nil
//	}
//
// A step captures values in local variables, never named results: after
// "return 0, err" a named domain id would be dom0's.
package undo
