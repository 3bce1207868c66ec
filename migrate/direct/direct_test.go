package direct

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"goxl/migrate/lanes"
)

// agree has both sides agree over a channel in memory.
func agree(t *testing.T, so, ro Options) (s *Sender, r *Receiver, sent, received error) {
	a, b := net.Pipe()
	t.Cleanup(func() { a.Close(); b.Close() })
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, received = Accept(t.Context(), b, ro)
		if received != nil {
			b.Close()
		}
	}()
	s, sent = Invite(t.Context(), a, so)
	if sent != nil {
		a.Close()
	}
	<-done
	return s, r, sent, received
}

// carry takes something across.
func carry(t *testing.T, s *Sender, r *Receiver) {
	t.Helper()
	want := bytes.Repeat([]byte("a guest "), 1<<18)
	done := make(chan error)
	go func() {
		s.Write(want)
		done <- s.Close()
	}()
	got, err := io.ReadAll(r)
	if sent := <-done; err != nil || sent != nil || !bytes.Equal(got, want) || r.Finish() != nil {
		t.Errorf("%v, %v, %d bytes", err, sent, len(got))
	}
	r.Close()
}

func local() Options { return Options{Listen: "127.0.0.1", Streams: 3} }

func TestAgree(t *testing.T) {
	s, r, sent, received := agree(t, local(), local())
	if sent != nil || received != nil {
		t.Fatal(sent, received)
	}
	carry(t, s, r)
	if _, err := net.Dial("tcp", r.listen.Addr().String()); err == nil {
		t.Error("it listens yet")
	}
}

// What no invitation precedes is read from its first byte.
func TestNoInvitation(t *testing.T) {
	for _, text := range []string{"", "Xen", Name[:7], "Xen saved domain, xl format\n"} {
		r, err := Accept(t.Context(), struct {
			io.Reader
			io.Writer
		}{strings.NewReader(text), io.Discard}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); string(got) != text || err != nil || r.Finish() != nil || r.Close() != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// authority makes certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "ca.pem")}
	a.key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	a.write(a.file, "CERTIFICATE", der)
	return a
}

func (a *authority) write(file, kind string, der []byte) {
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		a.t.Fatal(err)
	}
}

// identity is one with a certificate of a's, for a side that takes those of trusted.
func (a *authority) identity(trusted *authority, until time.Time, usage ...x509.ExtKeyUsage) Identity {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "host"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until, ExtKeyUsage: usage}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	dir := a.t.TempDir()
	a.write(filepath.Join(dir, "cert.pem"), "CERTIFICATE", der)
	k, _ := x509.MarshalPKCS8PrivateKey(key)
	a.write(filepath.Join(dir, "key.pem"), "PRIVATE KEY", k)
	i, err := LoadIdentity(trusted.file, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		a.t.Fatal(err)
	}
	return i
}

func TestAuthority(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	later, both := time.Now().Add(time.Hour), []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	good := ours.identity(ours, later, both...)
	for _, tt := range []struct {
		name             string
		sender, receiver Identity
		ok               bool
	}{
		{"both of ours", good, ours.identity(ours, later, both...), true},
		{"receiver of others", good, others.identity(ours, later, both...), false},
		{"sender of others", others.identity(ours, later, both...), good, false},
		{"receiver made one up", good, Identity{}, false},
		{"sender made one up", Identity{}, good, false},
		{"receiver is out of date", good, ours.identity(ours, time.Now().Add(-time.Hour), both...), false},
		{"receiver's is for clients", good, ours.identity(ours, later, x509.ExtKeyUsageClientAuth), false},
		{"sender's is for servers", ours.identity(ours, later, x509.ExtKeyUsageServerAuth), good, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			so, ro := local(), local()
			so.Identity, ro.Identity = tt.sender, tt.receiver
			s, r, sent, received := agree(t, so, ro)
			if !tt.ok {
				if !errors.Is(sent, ErrIdentity) || received == nil {
					t.Errorf("sender %v, receiver %v", sent, received)
				}
				return
			}
			if sent != nil || received != nil {
				t.Fatal(sent, received)
			}
			carry(t, s, r)
		})
	}
	if _, err := LoadIdentity("/none", "", ""); !os.IsNotExist(err) {
		t.Error(err)
	}
	if _, err := LoadIdentity(os.Args[0], "", ""); err == nil {
		t.Error("a program is a certificate")
	}
}

// What cannot be reached goes over the channel, but not when only an authority's word
// counts.
func TestClosed(t *testing.T) {
	ca := newAuthority(t)
	id := ca.identity(ca, time.Now().Add(time.Hour), x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth)
	for _, authority := range []bool{false, true} {
		told := ""
		so, ro := local(), local()
		so.Via, so.Say = "[::1]:1", func(s string) { told += s }
		if authority {
			so.Identity, ro.Identity = id, id
		}
		s, r, sent, received := agree(t, so, ro)
		if authority {
			if s != nil || sent == nil || received == nil {
				t.Errorf("the guest would go over the channel: %v, %v", sent, received)
			}
			continue
		}
		if s != nil || sent != nil || received != nil || !strings.Contains(told, "closed") || r.Finish() != nil || r.Close() != nil {
			t.Errorf("%v, %v, told %q", sent, received, told)
		}
	}
}

func TestWithPort(t *testing.T) {
	for place, want := range map[string]string{"": ":7", "10.0.0.1": "10.0.0.1:7", "10.0.0.1:8": "10.0.0.1:8", ":8": ":8",
		"::1": "[::1]:7", "[::1]": "[::1]:7", "[::1]:8": "[::1]:8", "host.example.org": "host.example.org:7"} {
		if got := withPort(place, "7"); got != want {
			t.Errorf("%q is %q, want %q", place, got, want)
		}
	}
}

// Strangers at the port get nothing, and keep nobody away.
func TestStrangers(t *testing.T) {
	cert, err := Identity{}.certificate()
	if err != nil {
		t.Fatal(err)
	}
	other, _ := Identity{}.certificate()
	r := &Receiver{}
	ctx, cancel := context.WithCancel(t.Context())
	r.end = cancel
	o := local()
	a, err := r.open(ctx, &o, &invitation{1, fingerprint(cert.Certificate[0])})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	at := a.Addresses[0].String()
	for name, c := range map[string]*tls.Certificate{"another certificate": other, "none": nil} {
		config := &tls.Config{InsecureSkipVerify: true}
		if c != nil {
			config.Certificates = []tls.Certificate{*c}
		}
		conn, err := tls.Dial("tcp", at, config)
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
			conn.Close()
		}
		if err == nil {
			t.Errorf("%s: it is let in", name)
		}
	}
	old := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{*cert}, MaxVersion: tls.VersionTLS12}
	if c, err := tls.Dial("tcp", at, old); err == nil {
		c.Close()
		t.Error("TLS 1.2 is good enough")
	}
	d := &dialer{config: Identity{}.config(cert, a.Fingerprint, x509.ExtKeyUsageServerAuth)}
	crowd := 2 * cap(r.slots)
	var silent []net.Conn
	for range crowd { // they say nothing
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	if _, err := io.ReadAll(silent[crowd-1]); err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
		t.Errorf("a crowd is let wait: %v", err)
	}
	for _, c := range silent {
		c.Close()
	}
	for end := time.Now().Add(time.Minute); ; {
		c, err := d.connect(ctx, at)
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the sender does not come in after a crowd: %v", err)
		}
	}
}

func FuzzReadMessage(f *testing.F) {
	var b bytes.Buffer
	writeMessage(&b, invitation{3, "00"})
	f.Add(b.Bytes())
	b.Reset()
	writeMessage(&b, answer{Fingerprint: "00", Token: make([]byte, 16)})
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		var i invitation
		if readMessage(bytes.NewReader(b), 0, &i) == nil && i.check() == nil && i.Streams > lanes.MostLanes {
			t.Error(i)
		}
		var a answer
		if readMessage(bytes.NewReader(b), 0, &a) == nil && a.check() == nil {
			if _, err := places("", a.Addresses); err != nil {
				t.Error(err)
			}
		}
	})
}

// A side that hangs up ends the other's stream at once; what it says before that is not
// lost.
func TestHangUp(t *testing.T) {
	for _, sender := range []bool{true, false} {
		a, b := net.Pipe()
		done := make(chan *Receiver)
		go func() {
			r, _ := Accept(t.Context(), b, local())
			done <- r
		}()
		s, err := Invite(t.Context(), a, local())
		r := <-done
		if err != nil || r == nil {
			t.Fatal(err)
		}
		begin := time.Now()
		if sender {
			a.Close()
			s.Abandon()
			_, err = io.ReadAll(r)
		} else {
			b.Close()
			r.Close()
			err = s.Close()
		}
		if took := time.Since(begin); err == nil || !strings.Contains(err.Error(), "hung up") || took > 20*time.Second {
			t.Errorf("the sender hangs up %t: %v after %s", sender, err, took)
		}
		r.Close()
		s.Abandon()
		a.Close()
		b.Close()
	}
	s, r, _, _ := agree(t, local(), local())
	go func() {
		io.WriteString(s.Channel, "after")
	}()
	carry(t, s, r)
	got := make([]byte, 5)
	if _, err := io.ReadFull(r.Channel, got); err != nil || string(got) != "after" {
		t.Errorf("%q, %v", got, err)
	}
}
