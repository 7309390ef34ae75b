package main

import (
	"cmp"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tributary/processor/workspace"
)

// userAgent is a browser's: a click of curl would be counted as a bot's.
const userAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

// clickCommand sends one click of a workspace. It can be pasted into any POSIX shell, as can
// saleCommand.
func clickCommand(edge string, of workspace.Region) string {
	key := ""
	if of.PublishableKey != "" {
		key = `"key":` + strconv.Quote(of.PublishableKey) + `,`
	}
	click := `{` + key + `"url":"https://` + cmp.Or(of.Hostname, "shop.example") +
		`/?utm_source=newsletter&utm_campaign=spring"}`
	return fmt.Sprintf(`curl -sS http://%s/v1/click -A '`+userAgent+`' -H 'Content-Type: application/json' -d '%s'`,
		edge, strings.ReplaceAll(click, "'", `'\''`))
}

// saleCommand sends a click and then a checkout of 49.00 USD that names it, signed as Stripe signs:
// HMAC-SHA256 of the time, a dot and the body, under the whole secret. The secret is a shell word.
func saleCommand(edge, webhook, secret string, of workspace.Region) string {
	const command = `click=$(CLICK | sed 's/.*"click_id":"\([^"]*\)".*/\1/') t=$(date +%s)
body='{"id":"evt_'$t'","object":"event","api_version":"2025-09-30.clover","created":'$t',"livemode":true,"type":"checkout.session.completed","data":{"object":{"id":"cs_test_'$t'","object":"checkout.session","created":'$t',"livemode":true,"mode":"payment","status":"complete","payment_status":"paid","payment_intent":"pi_'$t'","amount_subtotal":4900,"amount_total":4900,"currency":"usd","client_reference_id":"'$click'","metadata":{}}}}'
curl -sS http://WEBHOOK/stripe/webhook -H 'Content-Type: application/json' -H "Stripe-Signature: t=$t,v1=$(printf '%s.%s' "$t" "$body" | openssl dgst -sha256 -hmac SECRET | sed 's/^.* //')" --data-raw "$body" -w '%{http_code}\n'`
	return strings.NewReplacer("CLICK", clickCommand(edge, of), "WEBHOOK", webhook, "SECRET", secret).Replace(command)
}

// pastMiB is the size of the data directory when the demo has played its past: du -sm data, from
// one minute after the start on.
const pastMiB = 80

// banner is printed when everything is ready. It holds generated secrets and none that the user
// gave.
func (s *supervisor) banner(made generated, took time.Duration) string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("\nReady after %.1f s.\n", took.Seconds())
	say("  dashboard    http://%s/", s.DashboardAddr)
	say("  clicks       http://%s/v1/click", s.EdgeAddr)
	say("  Stripe       http://%s/stripe/webhook", s.StripeAddr)
	say("  operations   http://%s/metrics, /readyz, /processes", s.OpsAddr)
	if s.ClickHouseDSN == "" {
		say("  ClickHouse   %s (for reading)", s.readerDSN())
	} else {
		say("  ClickHouse   %s", withoutPassword(s.ClickHouseDSN))
	}
	say("  Kafka        %s", strings.Join(s.seeds(), ","))
	data := s.Data
	if abs, err := filepath.Abs(data); err == nil {
		data = abs
	}
	say("  data         %s (a second start finds it again; delete it to begin anew)", data)
	if !s.NoDemo {
		say("  disk         some %d MiB for the demo's past, %d at most (--max-data-mib), then the demo stops",
			pastMiB, s.MaxDataMiB)
	}
	if made.secret {
		say("  webhook secret  %s (generated for this data directory; --stripe-webhook-secrets sets your own)",
			s.StripeWebhookSecrets[0])
	}
	if made.key {
		say("  secret key      %s (for POST /v1/leads; --secret-key sets your own)", s.SecretKey)
	}
	if made.rates {
		say("  exchange rates  generated, in %s; --fx-source ecb:URL takes real ones", demoRatesFile)
	}
	say("\nSend a click:\n\n%s\n", clickCommand(s.EdgeAddr, s.region))
	secret, first := "'"+s.kept.StripeWebhookSecret+"'", ""
	if !made.secret {
		secret, first = `"$WEBHOOK_SECRET"`, ", with WEBHOOK_SECRET set to one of your signing secrets"
	}
	say("Send a click and the sale that it led to, as Stripe would report it%s (prints 200):\n\n%s\n",
		first, saleCommand(s.EdgeAddr, s.StripeAddr, secret, s.region))
	var embedded []string
	if s.hasChild("kafka") {
		embedded = append(embedded, "Kafka broker")
	}
	if s.ClickHouseDSN == "" {
		embedded = append(embedded, "ClickHouse engine")
	}
	if len(embedded) > 0 {
		say("The %s started here: for laptops and tests, not for data that matters; "+
			"see --kafka-seeds and --clickhouse-dsn.", strings.Join(embedded, " and the "))
	}
	say("Ctrl-C stops everything in order.\n")
	return b.String()
}

// withoutPassword hides the password of a DSN, which must not end up in a terminal's history.
func withoutPassword(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		return "as given by --clickhouse-dsn"
	}
	query := u.Query()
	if query.Has("password") {
		query.Set("password", "xxxxx")
		u.RawQuery = query.Encode()
	}
	return u.Redacted()
}

func (s *supervisor) hasChild(name string) bool {
	children, _ := s.snapshot()
	for _, c := range children {
		if c.name == name {
			return true
		}
	}
	return false
}
