package console

import (
	"encoding/hex"
	"os"
	"strings"
)

// bootID tells this run of the machine from others, in which domains had the same
// ids. It is zero where the kernel does not tell.
func bootID() (id [16]byte) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return id
	}
	if _, err := hex.Decode(id[:], []byte(strings.ReplaceAll(strings.TrimSpace(string(b)), "-", ""))); err != nil {
		return [16]byte{}
	}
	return id
}
