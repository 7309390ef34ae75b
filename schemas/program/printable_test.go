package program

import "testing"

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"summer sale – 50 %":         "summer sale – 50 %",
		`a "quoted" C:\path\new`:     `a "quoted" C:\path\new`,
		"Zoë 李 🎉":                    "Zoë 李 🎉",
		"\x1b]0;owned\x07\x1b[2Jann": `\x1b]0;owned\a\x1b[2Jann`,
		"ann\npaid by bob\r":         `ann\npaid by bob\r`,
		"a\u009b2Jb":                 `a\u009b2Jb`,
		"a\x9b2Jb":                   `a\x9b2Jb`,
		"\u202etxt.exe":              `\u202etxt.exe`,
		"a\u2028b\tc":                `a\u2028b\tc`,
	} {
		if got := Printable(text); got != want {
			t.Errorf("Printable(%q) = %q, want %q", text, got, want)
		}
	}
}
