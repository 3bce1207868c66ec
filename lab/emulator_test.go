package lab

import (
	"bytes"
	"testing"
)

func TestWithoutSpurious(t *testing.T) {
	code := bytes.Join([][]byte{[]byte("code"), spurious.before, spurious.note, spurious.after, []byte("more")}, nil)
	got, ok := withoutSpurious(code)
	want := bytes.Join([][]byte{[]byte("code"), spurious.before, nothing, spurious.after, []byte("more")}, nil)
	if !ok || !bytes.Equal(got, want) {
		t.Errorf("withoutSpurious = % x, %v; want % x", got, ok, want)
	}
	for name, other := range map[string][]byte{
		"another build": []byte("other code"),
		"it twice":      append(bytes.Clone(code), code...),
		"mended":        got,
	} {
		if _, ok := withoutSpurious(other); ok {
			t.Errorf("%s: changed", name)
		}
	}
}
