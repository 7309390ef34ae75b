package schemas

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// kafkaFault is a reason for which Kafka refuses, and what an operator can do about it.
type kafkaFault struct {
	applies      func(error) bool
	reason, hint string
}

func isError(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func asError[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

const hintAccess = "deploy/README.md lists what each program's user must be allowed (kafka-acls.sh)"

// kafkaFaults are looked through in their order: Kafka's own errors before those of the connection.
var kafkaFaults = []kafkaFault{
	{isError(kerr.SaslAuthenticationFailed), "authentication", "--kafka-user and --kafka-password-file, or --kafka-token-file"},
	{isError(kerr.UnsupportedSaslMechanism), "authentication", "--kafka-sasl must be a mechanism of the brokers"},
	{isError(kerr.IllegalSaslState), "authentication", "--kafka-sasl must be as the brokers want"},
	{isError(kerr.TopicAuthorizationFailed), "authorization", hintAccess},
	{isError(kerr.GroupAuthorizationFailed), "authorization", hintAccess},
	{isError(kerr.ClusterAuthorizationFailed), "authorization", hintAccess},
	{isError(kerr.UnknownTopicOrPartition), "topic", "processor topics creates it"},
	{isError(kerr.UnknownTopicID), "topic", "the topic was deleted or made again"},
	{isError(kerr.NotEnoughReplicas), "broker", "fewer replicas are in sync than min.insync.replicas: look at the brokers"},
	{asError[*kerr.Error], "broker", "look at the brokers' logs"},
	{asError[x509.HostnameError], "tls", "--kafka-server-name names the host that the brokers' certificates carry"},
	{asError[x509.UnknownAuthorityError], "tls", "--kafka-ca holds the certificate that signed the brokers'"},
	{certificateExpired, "tls", "a certificate is not valid at this time: renew it, or set this host's clock"},
	{asError[x509.CertificateInvalidError], "tls", "--kafka-ca holds the certificate that signed the brokers'"},
	{isAlert, "tls", "the brokers want, or refuse, a certificate of this program: --kafka-client-cert"},
}

func certificateExpired(err error) bool {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	return ok && invalid.Reason == x509.Expired
}

// isAlert reports whether the other side ended a TLS handshake. crypto/tls has no type for that.
func isAlert(err error) bool {
	operation, ok := errors.AsType[*net.OpError](err)
	return ok && operation.Op == "remote error"
}

// KafkaReason returns why Kafka refuses, in one word of few, as a metric's label: authentication,
// authorization, topic, broker (another error of Kafka), tls, or connection for everything else.
func KafkaReason(err error) string { return kafkaFaultOf(err).reason }

// WithKafkaHint adds to an error of Kafka's client what an operator can do, unless a hint is there.
func WithKafkaHint(err error) error {
	if err == nil || strings.Contains(err.Error(), "(hint: ") {
		return err
	}
	return fmt.Errorf("%w (hint: %s)", err, kafkaFaultOf(err).hint)
}

func kafkaFaultOf(err error) kafkaFault {
	for _, f := range kafkaFaults {
		if f.applies(err) {
			return f
		}
	}
	return kafkaFault{reason: "connection", hint: "--kafka-seeds names the brokers; --kafka-tls and --kafka-sasl must be as " +
		"the brokers are configured"}
}
