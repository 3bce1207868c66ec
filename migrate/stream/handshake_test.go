package stream

import "testing"

// TestHandshakeBytes holds the texts to the lengths that the genuine xl reads,
// sizeof(text)-1 for the banner and sizeof(text) for the others, and to their
// bytes, which the genuine xl compares.
func TestHandshakeBytes(t *testing.T) {
	for _, tt := range []struct {
		name, got, want string
		size            int
	}{
		{"banner", Banner, "xl migration receiver ready, send binary domain data.\n", 54},
		{"ready", Ready, "domain received, ready to unpause\000", 34},
		{"go", Go, "domain is yours, you are cleared to unpause\000", 44},
		{"report", Report, "my copy unpause results are as follows\000", 39},
	} {
		if tt.got != tt.want || len(tt.got) != tt.size {
			t.Errorf("%s is %q, %d bytes, want %d", tt.name, tt.got, len(tt.got), tt.size)
		}
	}
}
