package clicks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"tributary/schemas"
)

// Certificate is what the edge speaks TLS with.
type Certificate struct {
	pair atomic.Pointer[tls.Certificate]
}

// ReadCertificate reads a certificate with its key from two PEM files, the leaf first. Without
// files there is none, and the edge speaks no TLS.
func ReadCertificate(certFile, keyFile string) (*Certificate, error) {
	switch {
	case certFile == "" && keyFile == "":
		return nil, nil
	case certFile == "" || keyFile == "":
		return nil, errors.New("tls: certificate and key belong together (hint: give both files or neither)")
	}
	pair, err := schemas.ReadKeyPair(certFile, keyFile)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %s: %w (hint: PEM, the leaf first, with the key that belongs to it)",
			certFile, err)
	}
	c := new(Certificate)
	c.pair.Store(&pair)
	return c, nil
}

// Renew makes fresh the certificate of the handshakes to come. One that browsers would refuse takes
// the place of no good one.
func (c *Certificate) Renew(fresh *Certificate) error {
	if c == nil { // the edge speaks no TLS
		return nil
	}
	if err := fresh.Invalid(); err != nil && c.Invalid() == nil {
		return err
	}
	c.pair.Store(fresh.pair.Load())
	return nil
}

// Invalid returns why the certificate is not valid now, or nil. Only browsers and others who verify
// it refuse such a one: a balancer in front may not, so that it stops no start.
func (c *Certificate) Invalid() error {
	if c == nil {
		return nil
	}
	switch leaf, now := c.pair.Load().Leaf, time.Now(); {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate has expired at %s (hint: renew it)", leaf.NotAfter.Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate is not valid before %s (hint: is the clock right?)",
			leaf.NotBefore.Format(time.RFC3339))
	}
	return nil
}

// Warnings says for /readyz that the certificate is invalid, or will be after the last tenth of its
// time.
func (c *Certificate) Warnings(context.Context) []string {
	if err := c.Invalid(); err != nil {
		return []string{err.Error()}
	}
	if c == nil {
		return nil
	}
	leaf := c.pair.Load().Leaf
	if left := time.Until(leaf.NotAfter); left < leaf.NotAfter.Sub(leaf.NotBefore)/10 {
		return []string{fmt.Sprintf("the certificate expires at %s (hint: renew it)", leaf.NotAfter.Format(time.RFC3339))}
	}
	return nil
}

// get is a tls.Config's GetCertificate.
func (c *Certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.pair.Load(), nil }
