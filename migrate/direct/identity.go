package direct

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"
)

// Identity is who this side is to the other. The zero value is nobody in particular:
// a certificate is made.
type Identity struct {
	cert *tls.Certificate
	ca   *x509.CertPool
}

// ErrIdentity is matched when the other side shows a certificate that is not the one
// it announced, or not of our authority.
var ErrIdentity = errors.New("the other side is not who it should be")

// LoadIdentity reads PEM files: the authority that signs both sides' certificates, and
// this side's own certificate and key.
func LoadIdentity(ca, cert, key string) (Identity, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return Identity{}, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return Identity{}, fmt.Errorf("%s: there is no certificate in it", ca)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return Identity{}, fmt.Errorf("certificate %s with key %s: %w", cert, key, err)
	}
	return Identity{&pair, pool}, nil
}

// Authority reports whether the other side's certificate has to be of an authority.
func (i Identity) Authority() bool { return i.ca != nil }

// certificate is the one to show: that of the identity, or a new one.
func (i Identity) certificate() (*tls.Certificate, error) {
	if i.cert != nil {
		return i.cert, nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	// Its dates mean nothing: the clocks of two hosts may differ, and it is known
	// by its fingerprint.
	t := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "goxl migration"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// fingerprint is what a certificate is known by.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// config is how this side speaks TLS with one that shows the certificate of a
// fingerprint.
func (i Identity) config(cert *tls.Certificate, peer string, usage x509.ExtKeyUsage) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*cert},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // it is verified below, by what the channel said
		SessionTicketsDisabled: true, // each connection shows a certificate
		VerifyConnection:       func(s tls.ConnectionState) error { return i.verify(s.PeerCertificates, peer, usage) },
	}
}

// verify holds the certificates that the other side shows to what is expected.
func (i Identity) verify(shown []*x509.Certificate, peer string, usage x509.ExtKeyUsage) error {
	if len(shown) == 0 {
		return fmt.Errorf("%w: it shows no certificate", ErrIdentity)
	}
	if got := fingerprint(shown[0].Raw); subtle.ConstantTimeCompare([]byte(got), []byte(peer)) != 1 {
		return fmt.Errorf("%w: its certificate is %.16s…, not the announced %.16q…", ErrIdentity, got, peer)
	}
	if i.ca == nil {
		return nil
	}
	between := x509.NewCertPool()
	for _, c := range shown[1:] {
		between.AddCert(c)
	}
	if _, err := shown[0].Verify(x509.VerifyOptions{Roots: i.ca, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
		return fmt.Errorf("%w: %w", ErrIdentity, err)
	}
	return nil
}
