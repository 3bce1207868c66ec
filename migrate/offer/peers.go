package offer

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"time"

	"goxl/migrate"
)

// Peers remembers what was found out of other hosts, a file each in a directory. It
// is a help only: what it does not know, or cannot read, is found out anew, and what
// it says wrongly costs time and nothing else.
type Peers string

// remember is how long a host stays what it was.
const remember = 24 * time.Hour

// Peer is what is remembered of a host, by the command that reaches it.
type Peer struct {
	Genuine time.Time    `json:"genuine"` // until then it counts as one with the genuine xl
	Pace    migrate.Pace `json:"pace"`    // of the last migration there
}

// IsGenuine reports whether there is no use in asking the host.
func (p Peer) IsGenuine(now time.Time) bool {
	return now.Before(p.Genuine) && p.Genuine.Before(now.Add(remember+time.Minute)) // not when the clock was wrong
}

// SetGenuine notes that a host has the genuine xl, or that it has not.
func (p *Peer) SetGenuine(now time.Time, genuine bool) {
	p.Genuine = time.Time{}
	if genuine {
		p.Genuine = now.Add(remember)
	}
}

// Of is what is known of the host that a command reaches.
func (d Peers) Of(command string) (p Peer) {
	b, err := os.ReadFile(d.file(command))
	if err != nil || len(b) > 4096 || json.Unmarshal(b, &p) != nil {
		return Peer{}
	}
	return p
}

// Remember notes it. It need not succeed.
func (d Peers) Remember(command string, p Peer) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return err
	}
	return replaceFile(d.file(command), b)
}

func (d Peers) file(command string) string { return filepath.Join(string(d), nameOf(command)) }

// nameOf is a file name that stands for any text.
func nameOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:12])
}

// replaceFile writes a file so that whoever reads it finds the old or the new one.
func replaceFile(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
