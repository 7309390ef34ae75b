package apache

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Secured adds a listener for clients that is reached with TLS and SCRAM-SHA-512 only. The brokers
// and the Cluster itself go on using the open one.
type Secured struct {
	KeyPair        string // PEM file: private key (PKCS #8), and behind it the certificate of 127.0.0.1
	CA             string // PEM file: what clients trust
	User, Password string
	PasswordFile   string // the password again
}

// NewSecured writes the files of a Secured into dir. The certificate is valid for a day.
func NewSecured(dir, user string) (*Secured, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a broker's key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"},
		NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make a broker's certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("write a broker's key: %w", err)
	}
	s := &Secured{
		KeyPair: filepath.Join(dir, "broker.pem"), CA: filepath.Join(dir, "ca.pem"),
		User: user, Password: rand.Text(), PasswordFile: filepath.Join(dir, "password"),
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	pair := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), public...)
	return s, errors.Join(os.WriteFile(s.KeyPair, pair, 0o600), os.WriteFile(s.CA, public, 0o600),
		os.WriteFile(s.PasswordFile, []byte(s.Password+"\n"), 0o600))
}

// Environment is what a program of ours is given to reach the listener.
func (s *Secured) Environment() []string {
	return []string{
		"TRIBUTARY_KAFKA_CA=" + s.CA, "TRIBUTARY_KAFKA_SASL=scram-sha-512", "TRIBUTARY_KAFKA_USER=" + s.User,
		"TRIBUTARY_KAFKA_PASSWORD_FILE=" + s.PasswordFile,
	}
}
