package console

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func fixedNow() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local) }

func contents(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestLogFormats(t *testing.T) {
	const stamp = "[2026-01-02 03:04:05] "
	for _, tt := range []struct {
		name   string
		opt    LogOptions
		pieces []string
		want   string
	}{
		{"as it is", LogOptions{}, []string{"a\r\n", "\x1b[1mb\n\r"}, "a\r\n\x1b[1mb\n\r"},
		{"no escape", LogOptions{ReplaceEscape: true}, []string{"\x1b[1mb\n"}, ".[1mb\n"},
		{"timestamps", LogOptions{Timestamps: true}, []string{"a\nb\n"},
			stamp + "Logfile Opened\n" + stamp + "a\n" + stamp + "b\n"},
		{"a line in pieces", LogOptions{Timestamps: true}, []string{"a", "b", "c\nd"},
			stamp + "Logfile Opened\n" + stamp + "abc\n" + stamp + "d"},
		{"returns after the line", LogOptions{Timestamps: true}, []string{"a\n\r\rb\r\n", "\r", "\rc"},
			stamp + "Logfile Opened\n" + stamp + "a\n" + stamp + "b\r\n" + stamp + "c"},
		{"empty lines", LogOptions{Timestamps: true}, []string{"\n\n"},
			stamp + "Logfile Opened\n" + stamp + "\n" + stamp + "\n"},
		{"all", LogOptions{Timestamps: true, ReplaceEscape: true}, []string{"\x1bc\n"},
			stamp + "Logfile Opened\n" + stamp + ".c\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "guest-x.log")
			l, err := openLog(path, tt.opt, fixedNow)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			for _, p := range tt.pieces {
				if err := l.Write([]byte(p)); err != nil {
					t.Fatal(err)
				}
			}
			if got := contents(t, path); got != tt.want {
				t.Errorf("the log is\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

func TestLogRotates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "guest-x.log")
	l, err := openLog(path, LogOptions{MaxBytes: 10, Keep: 2}, fixedNow)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, p := range []string{"first\n", "one\n", "second\n", "third\n", "a piece of more than ten\n", "last\n"} {
		if err := l.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"": "last\n", ".1": "a piece of more than ten\n", ".2": "third\n"} {
		if got := contents(t, path+name); got != want {
			t.Errorf("log%s is %q, want %q", name, got, want)
		}
	}
	if _, err := os.Stat(path + ".3"); !os.IsNotExist(err) {
		t.Errorf("a third old file: %v", err)
	}
}

func TestLogWithoutOldFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "guest-x.log")
	l, err := openLog(path, LogOptions{MaxBytes: 8}, fixedNow)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, p := range []string{"12345678", "abc"} {
		if err := l.Write([]byte(p)); err != nil {
			t.Fatal(err)
		}
	}
	if got := contents(t, path); got != "abc" {
		t.Errorf("the log is %q", got)
	}
}

// TestLogComesBack: a log that cannot be written is tried again with each piece.
func TestLogComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	path := filepath.Join(dir, "guest-x.log")
	l, err := openLog(path, LogOptions{}, fixedNow)
	if err == nil {
		t.Fatal("opened a log in a folder that is not there")
	}
	if err := l.Write([]byte("lost")); err == nil {
		t.Fatal("wrote to a folder that is not there")
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := l.Write([]byte("kept")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := l.Reopen(path); err != nil {
		t.Fatal(err)
	}
	if err := l.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if old, now := contents(t, path+".old"), contents(t, path); old != "kept" || now != "new" {
		t.Errorf("moved log %q, new log %q", old, now)
	}
}

func TestLogPathStaysInFolder(t *testing.T) {
	for _, name := range []string{"web", "..", "../x", "a/b", "/etc/passwd", "x\x00y", ""} {
		p := logPath("/var/log/xen/console", name, "")
		if filepath.Dir(p) != "/var/log/xen/console" || strings.ContainsRune(p, 0) {
			t.Errorf("the log of %q is %q", name, p)
		}
	}
}
