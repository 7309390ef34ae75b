package join

import (
	"testing"
	"time"

	"tributary/processor/identity"
)

func TestUnguessable(t *testing.T) {
	f := func(name string, want bool) {
		t.Helper()
		if Unguessable(name) != want {
			found, _ := bits(name)
			t.Errorf("%q: %d hundredths of a bit, want unguessable %t", name, found, want)
		}
	}
	f("Ab3dEf6hIj9kLm2n", true)                     // nanoid(16), as Dub and PiMMs make it
	f("V1StGXR8_Z5jdHi6B-myT", true)                // nanoid(21)
	f("f47ac10b-58cc-4372-a567-0e02b2c3d479", true) // UUID version 4, as Rewardful makes it
	f("F47AC10B58CC4372A5670E02B2C3D479", true)
	f("clk_01HZY4W8Q9T6V3N2M1K7J5R8PX", true) // a ULID behind a prefix
	f("clk_v9WbcyFnxCDyRq7Xh2Tk", true)
	f("cus_NffrFeUfNV2Hib9aQ", true)
	f("user_f47ac10b-58cc-4372-a567-0e02b2c3d479", true)
	f("urn:uuid:018f3c2a-7b1d-7c3e-9f10-2b3c4d5e6f70", true)
	f("mhvXdrZT4jP5T8vBxuvm75", true)      // a random UUID in base58
	f("0ujtsYcgvSTl8PAuAdqWYSMnLOv", true) // KSUID
	f("tz4a98xxat96iws9zmbrgj3a", true)    // CUID2
	f("cjld2cjxh0000qzrmn831i7rn", true)   // CUID
	for _, guessed := range []string{
		"", "user_1042", "90210", "alice@corp.example", "undefined", "order-2026-11-25-0001", "1234567890123456789012",
		"aaaaaaaaaaaaaaaaaaaaaaaa",
		"john_smith_company_name_2026", "user_1042_campaign_2026", "project_123", "my-long-affiliate-name-here-for-you",
		"2d5f1a3e-1c9b-11ee-be56-0242ac120002",     // a UUID made of a time
		"5df41881-3aed-3515-88a7-2f4a814cf09e",     // and of a name
		"d41d8cd98f00b204e9800998ecf8427e",         // MD5, perhaps of an address
		"2fd4e1c67a2d28fced849ee1bb76e7391b93eb12", // SHA-1
		"507f1f77bcf86cd799439011",                 // an ObjectID: a time and a counter
		"YWxpY2VAY29ycC5leGFtcGxl",                 // alice@corp.example in base64
		"dXNlcl8xMDQy", "aB3dE6gH",                 // user_1042
		"JohnSmith1985", "AliceMiller2024", "McDonaldIan1977", "JohnSmithCompanyName2026", "ACMECorp2026Berlin",
		"TheBestDealInNewYork2026", "JSmith_AcmeCorp_Berlin2026", "the_best_deal_in_new_york_city_2026",
		"invoice_for_acme_corp_ltd_2026_q4", "campaign_summer_sale_2026_us_east_v2", "acme-corp-plan-pro-annual-2026-11",
		"user_5f4dcc3b5aa765d61d8327deb882cf99", "u5f4dcc3b5aa765d61d8327deb882cf99x", // MD5 behind a prefix, and within
		"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
		"cust-507f1f77bcf86cd799439011", "urn:uuid:5df41881-3aed-3515-88a7-2f4a814cf09e",
		"user_2d5f1a3e-1c9b-11ee-be56-0242ac120002",
		"n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=", "n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg", // SHA-256
		"CY9rzUYh03PK3k6DJie09g==", "qUqP5cyxm6YcTAhz05Hph5gvu9M=", // MD5, SHA-1
		"user_n4bQgYhMfWWaL-qgxVrQFaO_TxsrC4Is0V1sFbDwCgg", "sha256:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
		"md5:CY9rzUYh03PK3k6DJie09g==", "user_YWxpY2VAY29ycC5leGFtcGxl", "acme-uid-YWxpY2VAY29ycC5leGFtcGxlLmNvbQ==",
		"d4k2v1qvu3fs73dkq2h0", "click_d4k2v1qvu3fs73dkq2h0", // xid: a time, a machine and a counter
		"MFWGSY3FIBRW64TQFZSXQYLNOBWGK", "user_mfwgsy3fibrw64tqfzsxqylnobwgk===", // alice@corp.example in base32
		"2QO4ZN3JUZNB26WFQ6CSB3MGCA======", "zjjjhxcyeb7d45rmygeob2gxmtr4ax55", // MD5 and SHA-1 in base32
		"user_UK_0_WEST_JONES", "user_CRM2696WEST",
		"2026-11-25T10:00:00.000Z", "+49 30 1234567890 1234", "https://shop.example/",
	} {
		f(guessed, false)
	}
}

// Where a catalogue is in force at the sale, a public click makes nobody an affiliate; a sale from
// before it keeps its own.
func TestCatalogueInForce(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	sale, bare := identity.New(identity.Object, "pi_1"), identity.New(identity.Reference, "aff_ann")
	ann := identity.New(identity.Affiliate, "aff_ann")
	f := func(inForce time.Time, want Rule) {
		t.Helper()
		g := graph(t, identity.Edge{A: sale, B: bare, Source: bareReference, At: at})
		g.Add([]identity.Edge{
			{A: identity.PublicName(ann), B: identity.New(identity.Program, "p"), At: at.Add(-time.Hour)},
			{A: identity.Catalogue, B: identity.CatalogueIsInForce, At: inForce},
		})
		if c := NewSearch(g, nil, []identity.Node{sale}, Times{at, at}, Policy{}).Best(); c.Rule != want {
			t.Errorf("a catalogue in force %s after the sale: credited by %s, want %s", inForce.Sub(at), c.Rule, want)
		}
	}
	f(at.Add(-time.Minute), RuleNone)
	f(at, RuleNone)
	f(at.Add(time.Minute), RuleReference)
}
