package schemas

import (
	"strings"
	"testing"
)

const (
	goodBcrypt = "$2a$12$L1tRwAWP9Ey4B4M0weHqU.y.LyiIxqU84hMCTCdPDyQU5xjiEskeq"
	goodSHA256 = "4ed287cd0d13e63ee947b462759bab64487b025fc400f06663effbdcff283efe"
)

func TestUsersFile(t *testing.T) {
	list, err := parseUsers("u.json", []byte(`[
		{"name":"ada","password_hash":"`+goodBcrypt+`","role":"owner","workspaces":["*"]},
		{"name":"ben","oidc_email":"Ben@Example.com","role":"analyst","workspaces":["acme","bolt"]},
		{"name":"lena","oidc_subject":"248289761001","role":"affiliate","affiliate":"lena","workspaces":["acme"]},
		{"name":"warehouse","token_hashes":["`+goodSHA256+`"],"role":"analyst","workspaces":["acme"]}]`))
	if err != nil || len(list) != 4 || list[1].OIDCEmail != "ben@example.com" || list[2].Affiliate != "lena" {
		t.Errorf("%+v, %v", list, err)
	}
}

func TestUsersFileFaults(t *testing.T) {
	user := func(fields string) string {
		return `[{"name":"ada","role":"owner","workspaces":["acme"],` + fields + `}]`
	}
	good := `"password_hash":"` + goodBcrypt + `"`
	for text, want := range map[string]string{
		``:                               "the file is empty",
		`[]`:                             "the list is empty",
		`{}`:                             "a list",
		user(good + `,"admin":true`):     "there is no such field",
		user(good + `,` + good):          "given twice",
		user(good) + "x":                 "nothing may follow",
		user(`"affiliate":""`):           "can never be recognised",
		user(`"password_hash":"secret"`): "no bcrypt hash",
		user(`"password_hash":"` + strings.Replace(goodBcrypt, "$12$", "$04$", 1) + `"`): "no bcrypt hash",
		user(`"password_hash":"` + strings.Replace(goodBcrypt, "$12$", "$31$", 1) + `"`): "no bcrypt hash",
		user(`"oidc_email":"ada"`):                                                          "is no address",
		user(`"token_hashes":["trib_x"]`):                                                   "no SHA-256",
		user(`"token_hashes":["` + goodSHA256 + `","` + goodSHA256 + `"]`):                  "also that of user",
		user(good + `,"affiliate":"lena"`):                                                  "more than one affiliate",
		`[{"name":"","role":"owner","workspaces":["acme"],` + good + `}]`:                   "is empty",
		`[{"name":"a b","role":"owner","workspaces":["acme"],` + good + `}]`:                "has spaces",
		`[{"name":"a","role":"admin","workspaces":["acme"],` + good + `}]`:                  "is no role",
		`[{"name":"a","role":"owner",` + good + `}]`:                                        "no workspace",
		`[{"name":"a","role":"owner","workspaces":[""],` + good + `}]`:                      "no workspace's id",
		`[{"name":"a","role":"affiliate","workspaces":["acme"],` + good + `}]`:              "no affiliate",
		`[{"name":"a","role":"affiliate","affiliate":"x","workspaces":["*"],` + good + `}]`: "name the workspaces",
		strings.Replace(user(good), "[", "["+strings.Trim(user(good), "[]")+",", 1):         "also that of user",
	} {
		_, err := parseUsers("u.json", []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "hint:") {
			t.Errorf("%s: %v, want %q and a hint", text, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), goodBcrypt) || strings.Contains(err.Error(), goodSHA256)) {
			t.Errorf("a fault repeats a hash: %v", err)
		}
	}
	if _, err := ReadUsers("/does/not/exist"); err == nil || !strings.Contains(err.Error(), "--users") {
		t.Errorf("%v does not say what to do", err)
	}
}
