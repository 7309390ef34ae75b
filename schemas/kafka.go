package schemas

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Kafka is how both programs reach Kafka. Its fields are their flags, by the tags of
// github.com/alecthomas/kong.
type Kafka struct {
	Seeds      []string `name:"kafka-seeds" default:"127.0.0.1:9092" placeholder:"HOST:PORT,…" help:"Any brokers of the cluster."`
	ClientID   string   `name:"kafka-client-id" help:"Name in the brokers' logs, metrics and quotas; without it the program's own."`
	TLS        bool     `name:"kafka-tls" help:"Connect with TLS."`
	CA         string   `name:"kafka-ca" placeholder:"FILE" help:"Trust these certificates (PEM) instead of the system's; implies --kafka-tls."`
	ClientCert string   `name:"kafka-client-cert" placeholder:"FILE" help:"Certificate (PEM) by which this program proves who it is; implies --kafka-tls."`
	ClientKey  string   `name:"kafka-client-key" placeholder:"FILE" help:"Private key (PEM) of --kafka-client-cert."`
	ServerName string   `name:"kafka-server-name" placeholder:"HOST" help:"Name that the brokers' certificates must carry, where it is not the host of their address."`
	SASL       string   `name:"kafka-sasl" default:"none" placeholder:"MECHANISM" help:"Authenticate by none, plain, scram-sha-256, scram-sha-512 or oauthbearer."`
	User       string   `name:"kafka-user" help:"SASL user."`
	Password   string   `name:"kafka-password" help:"SASL password. Every local user sees flags in ps: better in a file or the environment."`
	// PasswordFile and TokenFile are read anew for every connection, so that a new password or
	// token needs no restart.
	PasswordFile string `name:"kafka-password-file" placeholder:"FILE" help:"File that holds the SASL password."`
	Token        string `name:"kafka-token" help:"OAUTHBEARER token; better in a file, since tokens expire."`
	TokenFile    string `name:"kafka-token-file" placeholder:"FILE" help:"File that holds the OAUTHBEARER token, which another program renews."`
}

// KafkaConnection is what the flags come to.
type KafkaConnection struct {
	Seeds    []string
	ClientID string
	TLS      *tls.Config    // nil: plain TCP
	SASL     sasl.Mechanism // nil: nobody authenticates
}

// Options are those of a client.
func (c KafkaConnection) Options() []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(c.Seeds...), kgo.ClientID(c.ClientID)}
	if c.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(c.TLS))
	}
	if c.SASL != nil {
		opts = append(opts, kgo.SASL(c.SASL))
	}
	return opts
}

// reachWithin is how long Kafka may take to say that it is there.
const reachWithin = 10 * time.Second

// DialKafka makes a client that has reached a broker, or returns an error within 10 seconds. A
// client that knows none yet asks one of its seeds for a group's coordinator, and no other when
// that one is away.
func DialKafka(ctx context.Context, opts ...kgo.Opt) (*kgo.Client, error) {
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("open Kafka client: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		client.Close()
		return nil, fmt.Errorf("ask kafka: %w", WithKafkaHint(err))
	}
	return client, nil
}

// KafkaUse is what a program does in Kafka: the topics that it reads and writes, and the consumer
// groups that it belongs to.
type KafkaUse struct{ Reads, Writes, Groups []string }

// Reach returns an error if no broker answers within 10 seconds, a topic is missing, or Kafka's
// access lists do not allow the use.
func (c KafkaConnection) Reach(ctx context.Context, use KafkaUse) error {
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	client, err := DialKafka(ctx, c.Options()...)
	if err == nil {
		defer client.Close()
		err = FindTopics(ctx, client, slices.Concat(use.Reads, use.Writes)...)
	}
	if err == nil {
		err = use.allowed(ctx, kadm.NewClient(client))
	}
	if err != nil {
		return fmt.Errorf("reach Kafka at %s: %w", strings.Join(c.Seeds, ","), err)
	}
	return nil
}

// allowed returns an error for each topic and group that the user may see and not use. Kafka says
// what a user may do since 2.3; what it does not say is not an error.
func (u KafkaUse) allowed(ctx context.Context, adm *kadm.Client) error {
	refused := func(can []kadm.ACLOperation, want kadm.ACLOperation) bool {
		return len(can) > 0 && !slices.Contains(can, want) && !slices.Contains(can, kadm.OpAll)
	}
	topics, err := adm.ListTopics(kadm.WithAuthorizedOps(ctx), slices.Concat(u.Reads, u.Writes)...)
	if err != nil {
		return fmt.Errorf("list kafka topics: %w", WithKafkaHint(err))
	}
	var faults []error
	for want, names := range map[kadm.ACLOperation][]string{kadm.OpRead: u.Reads, kadm.OpWrite: u.Writes} {
		for _, name := range names {
			if refused(topics[name].AuthorizedOperations, want) {
				faults = append(faults, fmt.Errorf("%s topic %s: %w", strings.ToLower(want.String()), name,
					WithKafkaHint(kerr.TopicAuthorizationFailed)))
			}
		}
	}
	for _, name := range u.Groups {
		groups, err := adm.DescribeGroups(ctx, name)
		group := groups[name]
		if errors.Is(errors.Join(err, group.Err), kerr.GroupAuthorizationFailed) ||
			refused(group.AuthorizedOperations, kadm.OpRead) {
			faults = append(faults, fmt.Errorf("read in consumer group %s: %w", name,
				WithKafkaHint(kerr.GroupAuthorizationFailed)))
		}
	}
	return errors.Join(faults...)
}

// FindTopics returns an error if no broker answers until ctx ends, or one of the topics is missing.
func FindTopics(ctx context.Context, client *kgo.Client, topics ...string) error {
	if err := client.Ping(ctx); err != nil {
		return fmt.Errorf("ask kafka: %w", WithKafkaHint(err))
	}
	if len(topics) == 0 {
		return nil
	}
	adm := kadm.NewClient(client)
	found, err := adm.ListTopics(ctx, topics...)
	if err != nil {
		// Of a topic that may not be seen the error has no name.
		for _, name := range topics {
			if _, err := adm.ListTopics(ctx, name); err != nil {
				return fmt.Errorf("find topic %s: %w", name, WithKafkaHint(err))
			}
		}
		return fmt.Errorf("list kafka topics: %w", WithKafkaHint(err))
	}
	for _, name := range topics {
		if err := found[name].Err; err != nil {
			return fmt.Errorf("find topic %s: %w", name, WithKafkaHint(err))
		}
	}
	return nil
}

// Connection checks the flags as a whole. An error holds every fault, each with a hint and without
// a secret. program is the client id where none is given.
func (k *Kafka) Connection(program string) (KafkaConnection, error) {
	secure, tlsErr := k.tls()
	mechanism, saslErr := k.mechanism()
	return KafkaConnection{Seeds: k.Seeds, ClientID: cmp.Or(k.ClientID, program), TLS: secure, SASL: mechanism},
		errors.Join(k.checkSeeds(), tlsErr, saslErr)
}

func (k *Kafka) checkSeeds() error {
	if len(k.Seeds) == 0 {
		return errors.New("kafka seeds: none given (hint: --kafka-seeds host:port,host:port)")
	}
	var faults []error
	for _, seed := range k.Seeds {
		host, port, err := net.SplitHostPort(seed)
		if n, numberErr := strconv.Atoi(port); err != nil || host == "" || numberErr != nil || n < 1 || n > 65535 {
			faults = append(faults, fmt.Errorf("kafka seeds: %q is not host:port "+
				"(hint: Kafka listens on port 9092 by default)", seed))
		}
	}
	return errors.Join(faults...)
}

// tls is nil where the connection is plain TCP.
func (k *Kafka) tls() (*tls.Config, error) {
	if !k.TLS && k.CA == "" && k.ClientCert == "" && k.ClientKey == "" {
		if k.ServerName != "" {
			return nil, errors.New("kafka server name: there is no TLS (hint: --kafka-tls)")
		}
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: k.ServerName}
	var faults []error
	if k.CA != "" {
		pem, err := readFile(k.CA, maxPEMBytes)
		config.RootCAs = x509.NewCertPool()
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("kafka ca: %w (hint: a PEM file)", err))
		case !config.RootCAs.AppendCertsFromPEM(pem):
			faults = append(faults, fmt.Errorf("kafka ca: %s holds no certificate "+
				"(hint: it begins with -----BEGIN CERTIFICATE-----)", k.CA))
		}
	}
	switch {
	case (k.ClientCert == "") != (k.ClientKey == ""):
		faults = append(faults, errors.New("kafka client certificate: certificate and key belong together "+
			"(hint: --kafka-client-cert and --kafka-client-key)"))
	case k.ClientCert != "":
		if _, err := ReadKeyPair(k.ClientCert, k.ClientKey); err != nil {
			faults = append(faults, fmt.Errorf("kafka client certificate: %w (hint: two PEM files of one pair)", err))
		}
		// Read for every connection: a renewed certificate needs no restart.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := ReadKeyPair(k.ClientCert, k.ClientKey)
			return &pair, err
		}
	}
	return config, errors.Join(faults...)
}

// mechanism is nil where nobody authenticates.
func (k *Kafka) mechanism() (sasl.Mechanism, error) {
	password := func() (string, error) { return Secret("kafka password", k.Password, k.PasswordFile) }
	token := func() (string, error) { return Secret("kafka token", k.Token, k.TokenFile) }
	secret, withUser := password, true
	switch k.SASL {
	case "", "none":
		if k.User != "" || k.Password != "" || k.PasswordFile != "" || k.Token != "" || k.TokenFile != "" {
			return nil, errors.New("kafka sasl: a user, password or token is given without a mechanism " +
				"(hint: --kafka-sasl scram-sha-512)")
		}
		return nil, nil
	case "oauthbearer":
		secret, withUser = token, false
	case "plain", "scram-sha-256", "scram-sha-512":
	default:
		return nil, fmt.Errorf("kafka sasl: %q is not known "+
			"(hint: none, plain, scram-sha-256, scram-sha-512 or oauthbearer)", k.SASL)
	}
	value, err := secret()
	switch {
	case err != nil:
		return nil, err
	case withUser && (k.User == "" || value == ""):
		return nil, fmt.Errorf("kafka sasl: %s needs a user and a password "+
			"(hint: --kafka-user and --kafka-password-file)", k.SASL)
	case !withUser && value == "":
		return nil, errors.New("kafka sasl: oauthbearer needs a token (hint: --kafka-token-file)")
	}
	switch k.SASL {
	case "plain":
		return plain.Plain(func(context.Context) (plain.Auth, error) {
			pass, err := password()
			return plain.Auth{User: k.User, Pass: pass}, err
		}), nil
	case "oauthbearer":
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			text, err := token()
			return oauth.Auth{Token: text}, err
		}), nil
	case "scram-sha-256":
		return scram.Sha256(k.scram), nil
	default:
		return scram.Sha512(k.scram), nil
	}
}

func (k *Kafka) scram(context.Context) (scram.Auth, error) {
	password, err := Secret("kafka password", k.Password, k.PasswordFile)
	return scram.Auth{User: k.User, Pass: password}, err
}

// maxSecretBytes of a file: a token may be long, a wrong file much longer.
const maxSecretBytes = 64 << 10

// Secret returns the value of a secret that may be given itself or by a file that holds it; ""
// where neither is given. name stands in errors. The line end that editors put behind it is left
// out.
func Secret(name, value, file string) (string, error) {
	flag := strings.ReplaceAll(name, " ", "-")
	switch {
	case file == "":
		return value, nil
	case value != "":
		return "", fmt.Errorf("%s: given twice (hint: --%s or --%s-file)", name, flag, flag)
	}
	text, err := readFile(file, maxSecretBytes)
	if err != nil {
		return "", fmt.Errorf("%s: %w (hint: a file with the secret alone, that this user may read)", name, err)
	}
	secret := strings.TrimRight(string(text), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%s: %s is empty (hint: a file with the secret alone)", name, file)
	}
	return secret, nil
}
