package clicks

import (
	"os"
	"strings"
	"testing"
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
