package lab

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// imageOf is the image of host i, from 0.
func (o Options) imageOf(i int, usual *Image) *Image {
	if i < len(o.Images) {
		return o.Images[i]
	}
	return usual
}

// introduce lets hosts of different images log into each other, as those of one
// image can by themselves: each image has keys of its own.
func (l *Lab) introduce(ctx context.Context) error {
	for _, from := range l.Hosts {
		for _, to := range l.Hosts {
			if from.Image.Dir == to.Image.Dir {
				continue
			}
			key, err := from.Output(ctx, "ssh-keygen -y -f /root/.ssh/id_ed25519")
			if err == nil {
				_, err = to.Output(ctx, fmt.Sprintf("echo '%s' >> /root/.ssh/authorized_keys", strings.TrimSpace(key)))
			}
			if err == nil {
				err = from.know(ctx, to)
			}
			if err != nil {
				return fmt.Errorf("let host %d log into host %d: %w", from.Number, to.Number, err)
			}
		}
	}
	return nil
}

// know has a host trust another one's key.
func (h *Host) know(ctx context.Context, other *Host) error {
	pub, err := os.ReadFile(other.Image.HostKey())
	if err != nil {
		return err
	}
	_, err = h.Output(ctx, fmt.Sprintf("sed -i '/^10\\.77\\.0\\.%d /d' /root/.ssh/known_hosts; echo '10.77.0.%d %s' >> /root/.ssh/known_hosts",
		other.Number, other.Number, strings.TrimSpace(string(pub))))
	return err
}
