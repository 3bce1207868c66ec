package main

import (
	"encoding/binary"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// scriptKept writes a file as consoled does: a header with the number of bytes at 24,
// and the bytes from 128 on.
func scriptKept(ts *testscript.TestScript, _ bool, args []string) {
	b := make([]byte, 128, 1024)
	copy(b, "goxltail")
	binary.LittleEndian.PutUint32(b[8:], 1)
	binary.LittleEndian.PutUint32(b[12:], 65536)
	binary.LittleEndian.PutUint64(b[24:], uint64(len(args[2])))
	dir := filepath.Join(hostOf(ts).dir, "state", "console")
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(os.WriteFile(filepath.Join(dir, args[0]+"."+args[1]), append(b, args[2]...), 0o600))
}
