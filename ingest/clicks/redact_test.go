package clicks

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestRedactURL(t *testing.T) {
	for url, want := range map[string]string{
		"https://shop.example/":            "https://shop.example/",
		"https://shop.example/?q=1&page=2": "https://shop.example/?q=1&page=2",
		"https://shop.example/?utm_source=email&utm_campaign=spring&gclid=Cj0K-token&via=anna&ref=footer&dub_id=x": "https://shop.example/?utm_source=email&utm_campaign=spring&gclid=Cj0K-token&via=anna&ref=footer&dub_id=x",
		"https://shop.example/reset?token=abc":                                                                           "https://shop.example/reset",
		"https://shop.example/reset?token=abc&via=anna":                                                                  "https://shop.example/reset?via=anna",
		"https://shop.example/?via=anna&reset_Token=abc&x=1":                                                             "https://shop.example/?via=anna&x=1",
		"https://shop.example/?via=anna&access-token=abc":                                                                "https://shop.example/?via=anna",
		"https://shop.example/?email=anna%40example.com&x=1#top":                                                         "https://shop.example/?x=1#top",
		"https://shop.example/?u=anna@example.com":                                                                       "https://shop.example/",
		"https://shop.example/?utm_content=anna%40example.com&utm_term=a":                                                "https://shop.example/?utm_term=a",
		"https://shop.example/?anna@example.com":                                                                         "https://shop.example/",
		"https://shop.example/#access_token=abc&token_type=bearer&state=x":                                               "https://shop.example/#state=x",
		"https://shop.example/#/page?token=abc&utm_source=x":                                                             "https://shop.example/#/page?utm_source=x",
		"https://shop.example/#access_token=abc?x=1":                                                                     "https://shop.example/#?x=1",
		"https://shop.example/#pricing":                                                                                  "https://shop.example/#pricing",
		"https://shop.example/?x=eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln":                                               "https://shop.example/",
		"https://shop.example/?payment_intent=pi_1&payment_intent_client_secret=pi_1_secret_x&redirect_status=succeeded": "https://shop.example/?payment_intent=pi_1&redirect_status=succeeded",
		"https://shop.example/?code=4%2F0AX&scope=email":                                                                 "https://shop.example/?scope=email",
		"https://shop.example/?X-Amz-Signature=ab;b=2":                                                                   "https://shop.example/?b=2",
		"https://anna:secret@shop.example/p?q=1":                                                                         "https://shop.example/p?q=1",
		"https://anna@shop.example?password=x":                                                                           "https://shop.example",
		"https://shop.example/u/anna@example.com/orders?page=2":                                                          "https://shop.example/u/-/orders?page=2",
		"https://shop.example/stop/anna%2Bx%40mail.example.com":                                                          "https://shop.example/stop/-",
		"https://shop.example/in/eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln#top":                                           "https://shop.example/in/-#top",
		"https://maps.example/@52.5,13.4/npm/react@18.2.0?telephone=1":                                                   "https://maps.example/@52.5,13.4/npm/react@18.2.0",
		"https://shop.example/?key=rk_test_abc&user_phone=49":                                                            "https://shop.example/",
		"https://medium.example/@anna?author=anna&discount_code=SAVE":                                                    "https://medium.example/@anna?author=anna&discount_code=SAVE",
		"https://shop.example/?token=&x=1":                                                                               "https://shop.example/?token=&x=1",
		"https://shop.example/?":                                                                                         "https://shop.example/?",
		"":                                                                                                               "",
	} {
		var scratch []byte
		if got := redactURL(url, nil, &scratch); got != want {
			t.Errorf("%s\n became %s\nwant    %s", url, got, want)
		}
	}
	var scratch []byte
	url := "https://shop.example/?utm_source=newsletter&utm_medium=email&utm_campaign=spring&gclid=Cj0KCQabcdefgh"
	if n := testing.AllocsPerRun(100, func() { redactURL(url, nil, &scratch) }); n != 0 {
		t.Errorf("%v allocations for an address without secrets", n)
	}
}

// What is encoded is read through its encodings, and what holds a secret is one.
func TestRedactHiddenSecrets(t *testing.T) {
	const jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln"
	for rest, want := range map[string]string{
		"?x=anna%2540example.com&y=1":                        "?y=1", // encoded twice
		"?x=anna%252540example.com&y=1":                      "?y=1",
		"?x=@first,anna@example.com":                         "",
		"?x=Anna+%3Canna%40example.com%3E":                   "",
		"?x=mailto:anna@example.com":                         "",
		"?x=anna@m%C3%BCller.example":                        "",
		"?x=YW5uYUBleGFtcGxlLmNvbQ==&y=1":                    "?y=1", // base64
		"?x=YW5uYUBleGFtcGxlLmNvbQ%3D%3D&y=1":                "?y=1",
		"?x=YW5uYUBleGFtcGxlLmNvbQ":                          "",
		"?x=eyJlbWFpbCI6ImFubmFAZXhhbXBsZS5jb20ifQ":          "",
		"?next=%2Freset%3Ftoken%3Dabc&y=1":                   "?y=1", // an address within a value
		"?next=https%3A%2F%2Fshop.example%2F%3Fpage%3D2":     "?next=https%3A%2F%2Fshop.example%2F%3Fpage%3D2",
		"?next=https%253A%252F%252Fa.example%253Fotp%253D1":  "",
		"?next=https%3A%2F%2Fanna%3Apw%40shop.example%2F":    "",
		"?next=%2Freset%2F5f4dcc3b5aa765d61d8327deb882cf99":  "",
		"?x=Bearer%20" + jwt:                                 "",
		"?x=" + jwt + ".a.b":                                 "", // encrypted
		"?x=pi_1abc_secret_def&y=1":                          "?y=1",
		"?e%6Dail=x&%74oken=y&user%5Bpin%5D=1&user[tel]=2":   "",
		"?login_hint=anna&ticket=ST-1&_ke=x&PHPSESSID=1":     "",
		"?x=%2B49+170+1234567&y=+491701234567&z=+4":          "?z=+4",
		"?x=DE89370400440532013000&y=DE88370400440532013000": "?y=DE88370400440532013000",
		"?x=GB82%20WEST%201234%205698%207654%2032":           "",

		"page;jsessionid=0A1B?y=1":                     "page?y=1", // parameters of a segment
		"cars;color=red/2;PHPSESSID=1/end":             "cars;color=red/2/end",
		"(S(lit3py55t21z5v55vlm25s55))/page":           "-/page",
		"reset-password/5f4dcc3b5aa765d61d8327deb8":    "reset-password/-",
		"accounts/reset/MQ/c2x1-5f4dcc3b5aa765d61d83/": "accounts/reset/MQ/-/",
		"invite/550e8400-e29b-41d4-a716-446655440000":  "invite/-",
		"stop/YW5uYUBleGFtcGxlLmNvbQ==/now":            "stop/-/now",
		"call/+491701234567":                           "call/-",
		"u/anna%2540example.com":                       "u/-",
		"#/reset/5f4dcc3b5aa765d61d8327deb882cf99":     "",
		"#/pricing": "#/pricing",
		"password-manager/pricing-for-teams-of-10":                            "password-manager/pricing-for-teams-of-10",
		"blog/550e8400-e29b-41d4-a716-446655440000":                           "blog/550e8400-e29b-41d4-a716-446655440000",
		"@anna/posts/react@18.2.0?u=%2F%40anna.lena":                          "@anna/posts/react@18.2.0?u=%2F%40anna.lena",
		"?utm_campaign=spring%20sale+2026&utm_term=10%25&id=A1B2C3D4E5F6G7H8": "?utm_campaign=spring%20sale+2026&utm_term=10%25&id=A1B2C3D4E5F6G7H8",
		"?utm_id=120210000000000000&gclid=EAIaIQobChMI_aB&q=AbCdEfGhIj":       "?utm_id=120210000000000000&gclid=EAIaIQobChMI_aB&q=AbCdEfGhIj",
	} {
		var scratch []byte
		if got := redactURL("https://shop.example/"+rest, nil, &scratch); got != "https://shop.example/"+want {
			t.Errorf("%s became %s, want %s", rest, got, want)
		}
	}
}

func BenchmarkRedactURL(b *testing.B) {
	for name, url := range map[string]string{
		"plain":   "https://shop.example/pricing/for-teams?utm_source=newsletter&utm_medium=email&utm_campaign=spring&gclid=Cj0KCQabcdefgh",
		"encoded": "https://shop.example/pricing?utm_source=news%20letter&utm_campaign=spring%20sale&next=%2Fa%2Fb%3Fpage%3D2",
		// Decoding takes thousands of rounds; three are made.
		"hostile": "https://shop.example/?x=" + strings.Repeat("25%", 2700),
		"path":    "https://shop.example/" + strings.Repeat("a1b2c3d4e5f6g7h8/", 480),
	} {
		b.Run(name, func(b *testing.B) {
			var scratch []byte
			for b.Loop() {
				scratch = scratch[:0]
				redactURL(url, nil, &scratch)
			}
		})
	}
}

// What an address costs grows with its length and no faster, whatever is in it: each of these would
// take minutes if its parts were read again and again.
func TestRedactLongAddresses(t *testing.T) {
	const length = 2 << 20
	done := make(chan string)
	go func() {
		for _, unit := range []string{"eyJ", "a@", "&a=b@", "/aB3aB3aB3aB3aB3aB3"} {
			url := "https://e.example/reset/1/x?a=@&b=" + strings.Repeat(unit, length/len(unit))
			var scratch []byte
			redactURL(strings.Replace(url, "?", "/", 1), nil, &scratch)
			withoutAdIDs(redactURL(url, nil, &scratch), &scratch)
			done <- unit
		}
		close(done)
	}()
	last := "none"
	for deadline := time.After(limit); ; {
		select {
		case unit, more := <-done:
			if !more {
				return
			}
			last = unit
		case <-deadline:
			t.Fatalf("the addresses behind those of %q take longer than %s", last, limit)
		}
	}
}

func TestQueryParameters(t *testing.T) {
	listed := []string{"utm_*", "gclid", "email", "x"}
	for url, want := range map[string]string{
		"https://shop.example/?utm_source=a&utm_campaign=b&gclid=c": "https://shop.example/?utm_source=a&utm_campaign=b&gclid=c",
		"https://shop.example/?order=7&utm_source=a&Gclid=c&fbclid": "https://shop.example/?utm_source=a",
		"https://shop.example/?order=7#pricing":                     "https://shop.example/#pricing",
		"https://shop.example/#order=7&x=1":                         "https://shop.example/#x=1",
		"https://shop.example/?email=anna@shop.example&x=1":         "https://shop.example/?x=1",
		"https://shop.example/?utm":                                 "https://shop.example/",
		"https://shop.example/":                                     "https://shop.example/",
	} {
		var scratch []byte
		if got := redactURL(url, listed, &scratch); got != want {
			t.Errorf("%s\n became %s\nwant    %s", url, got, want)
		}
		if got := redactURL(want, []string{}, &scratch); strings.ContainsAny(got, "?=") {
			t.Errorf("%s became %s where none is listed", want, got)
		}
	}
}

func FuzzRedactURL(f *testing.F) {
	f.Add("https://a:b@c/?token=1&x=2#email=a@b.c;y")
	f.Add("?#?#&&;;=@.%40.")
	f.Add("https://a/b@c.de/%40/x@y.zz?a@b.c")
	f.Add(":/0@0./@")
	f.Add("k0%000") // decoded, it is shorter than any secret
	f.Add("https://a/reset/5f4dcc3b5aa765d61d8327deb882cf99;pin=1/b?x=a%2540b.cc&y=%2Freset%3Ftoken%3D1#/u/+491701234567")
	f.Fuzz(func(t *testing.T, url string) {
		var scratch []byte
		once := redactURL(url, nil, &scratch)
		if len(once) > len(url) {
			t.Errorf("%q grew to %q", url, once)
		}
		if twice := redactURL(once, nil, &scratch); twice != once {
			t.Errorf("%q: %q, then %q", url, once, twice)
		}
	})
}

// What the processor takes for a network's id is an id here too.
func TestAdIDs(t *testing.T) {
	file, err := os.ReadFile("../../processor/enrich/clickids.csv")
	if err != nil {
		t.Fatal(err)
	}
	listed := 0
	for line := range strings.Lines(string(file)) {
		name, _, row := strings.Cut(line, ",")
		if !row || strings.HasPrefix(line, "#") || name == "param" {
			continue
		}
		listed++
		if !adIDs[name] {
			t.Errorf("%s is stored without consent", name)
		}
	}
	if listed == 0 {
		t.Error("the file lists no parameter")
	}
}
