package schemas

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// patience is how long a pipe in the place of a file is waited for.
const patience = 10 * time.Second

// OpenFile opens a file that an operator names. A program reads it again while it serves, so that
// opening and reading end whatever stands there: a named pipe that nobody writes to is empty.
func OpenFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	_ = file.SetReadDeadline(time.Now().Add(patience)) // an ordinary file has none and needs none
	return file, nil
}

// readFile reads such a file of at most limit bytes. They are counted as they are read: a device
// says that it has none.
func readFile(path string, limit int64) ([]byte, error) {
	file, err := OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return data, err
}

// maxPEMBytes of a file of certificates: those that systems trust take some 220 KB.
const maxPEMBytes = 4 << 20

// ReadKeyPair reads a certificate and its key from two PEM files.
func ReadKeyPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := readFile(certFile, maxPEMBytes)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readFile(keyFile, maxPEMBytes)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(cert, key)
}
