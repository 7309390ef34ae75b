package join

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"tributary/deploy/race"
)

// Of the ids that vendors make few are refused, of names that people make up few are taken, and of
// what is computed from something known nothing is, in any of the forms below.
func TestUnguessableShares(t *testing.T) {
	tries := 2_000
	if race.Enabled {
		tries = 1000
	}
	rng := rand.New(rand.NewPCG(1, 2))
	share := func(kind string, most float64, taken bool, id func() string) {
		t.Helper()
		n, example := 0, ""
		for range tries {
			if s := id(); Unguessable(s) == taken {
				n, example = n+1, s
			}
		}
		percent := float64(100*n) / float64(tries)
		t.Logf("%-32s %5.2f %% have unguessable %t", kind, percent, taken)
		if percent > most {
			t.Errorf("%s: of %.2f %%, as of %s, Unguessable returns %t; want at most %.1f %%",
				kind, percent, example, taken, most)
		}
	}

	const (
		base36    = "0123456789abcdefghijklmnopqrstuvwxyz"
		crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
		base62    = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	)
	pick := func(letters string, n int) string {
		id := make([]byte, n)
		for i := range id {
			id[i] = letters[rng.IntN(len(letters))]
		}
		return string(id)
	}
	refused := func(kind string, most float64, prefix, letters string, n int) {
		t.Helper()
		share(kind, most, false, func() string { return prefix + pick(letters, n) })
	}
	refused("nanoid of 16", 0.7, "", base62, 16)
	refused("nanoid of 21", 0.4, "", base62+"_-", 21)
	refused("ULID", 1.5, "01K", crockford, 23)
	refused("ULID behind a prefix (WorkOS)", 1.5, "user_01K", crockford, 23)
	refused("UUID in base32 (TypeID)", 1.5, "user_01k", strings.ToLower(crockford), 23)
	refused("KSUID behind a prefix (Clerk)", 0.4, "user_35", base62, 25)
	refused("customer of Stripe's", 2, "cus_", base62, 14)
	refused("CUID2", 8.5, "c", base36, 23)
	share("CUID", 10.5, false, func() string { return "cmi" + pick(base36, 6) + "0000" + pick(base36, 12) })

	words := strings.Fields(`john smith alice miller mcdonald jones max quick linux xavier zbigniew brzezinski vladimir
		berlin newyork london deutschland wirtschaft summer winter sale deal best acme corp ltd gmbh llc inc crm smb
		fy26 q4 b2b blackfriday campaign promo plan pro annual monthly customer user company invoice order affiliate
		partner facebook google youtube tiktok instagram newsletter email us eu east west uk de fr prod dev test launch
		beta xmas`)
	word := func() string { return words[rng.IntN(len(words))] }
	number := func() string {
		return []string{
			strconv.Itoa(1950 + rng.IntN(80)), strconv.Itoa(rng.IntN(100_000)), strconv.Itoa(rng.IntN(10)),
		}[rng.IntN(3)]
	}
	madeUp := func(kind string, most float64, prefix, between string, write func(string) string) {
		t.Helper()
		share(kind, most, true, func() string {
			parts := []string{number()}
			for range 2 + rng.IntN(4) {
				parts = append(parts, write(word()))
			}
			rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			return prefix + strings.Join(parts, between)
		})
	}
	same := func(s string) string { return s }
	title := func(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
	madeUp("words", 2, "", "", same)
	madeUp("words behind a prefix", 2, "user_", "", same)
	madeUp("words_with_underscores", 2, "", "_", same)
	madeUp("words-with-hyphens", 2, "acme-", "-", same)
	madeUp("WORDS", 2, "", "", strings.ToUpper)
	madeUp("WORDS behind a prefix", 4, "user_", "_", strings.ToUpper)
	madeUp("Titles", 20, "", "", title)
	madeUp("Titles behind a prefix", 14, "user_", "", title)
	madeUp("Titles behind two", 11, "acme-uid-", "", title)
	madeUp("Titles_with behind two", 12, "acme-uid-", "_", title)

	address := func() []byte { return []byte(word() + "." + word() + number() + "@" + word() + ".example") }
	in32 := base32.StdEncoding.EncodeToString
	for _, prefix := range []string{"", "user_"} {
		none := func(kind string, id func() string) {
			t.Helper()
			share(prefix+kind, 0, true, func() string { return prefix + id() })
		}
		none("MD5 in base64", func() string { h := md5.Sum(address()); return base64.StdEncoding.EncodeToString(h[:]) })
		none("MD5 in base32", func() string { h := md5.Sum(address()); return in32(h[:]) })
		none("SHA-1 in base32", func() string { h := sha1.Sum(address()); return strings.ToLower(in32(h[:])) })
		none("SHA-256 in base32", func() string {
			h := sha256.Sum256(address())
			return strings.TrimRight(in32(h[:]), "=")
		})
		none("address in base32", func() string { return strings.TrimRight(in32(address()), "=") })
		none("address in base64", func() string { return base64.RawURLEncoding.EncodeToString(address()) })
		none("counter", func() string { return fmt.Sprintf("ORD%018d", rng.IntN(1e9)) })
		none("time", func() string {
			return time.Unix(1.7e9+rng.Int64N(1e8), 0).UTC().Format("20060102T150405.000Z")
		})
		none("xid", func() string { return "d4k" + pick(base36[:32], 16) + pick("0g", 1) })
	}
}
