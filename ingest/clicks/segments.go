package clicks

import (
	"strings"
)

// minRandom is how many bytes a segment has at least that is a random text.
const minRandom = 16

// accountWords are segments of a path behind which a random text opens an account, folded.
var accountWords = map[string]bool{
	"reset": true, "recover": true, "recovery": true, "unlock": true, "verify": true, "verification": true,
	"confirm": true, "confirmation": true, "activate": true, "activation": true, "invite": true, "invitation": true,
	"invitations": true, "invites": true, "accept": true, "magic": true, "magiclink": true, "signin": true, "sso": true,
	"unsubscribe": true, "optout": true,
}

// opensAccount reports whether one of the segments of a path says that a random text behind it
// opens an account.
func opensAccount(path string) bool {
	for path != "" {
		var segment string
		var buf [64]byte
		segment, path, _ = strings.Cut(path, "/")
		if len(segment) <= len(buf) && (accountWords[b2s(fold(buf[:0], segment))] || secretName(segment)) {
			return true
		}
	}
	return false
}

// account says of a path, from its beginning to its end, where random texts open an account. Each
// segment is looked at once, however many random ones there are.
type account struct {
	read  int // bytes of the path
	opens bool
}

// opensBehind reports whether a segment before the place start says that a random text opens an
// account. start never goes back.
func (a *account) opensBehind(path string, start int) bool {
	a.opens = a.opens || opensAccount(path[a.read:start])
	a.read = start
	return a.opens
}

// secretSegment reports whether the segment at the place start of a path is dropped.
func secretSegment(path, segment string, start int, a *account) bool {
	// Sessions without cookies of ASP.NET: /(S(lit3py55t21z5v55vlm25s55))/.
	return len(segment) >= minSecret && segment[0] == '(' && segment[2] == '(' && strings.HasSuffix(segment, "))") ||
		secretValue(segment, true) || isRandom(segment) && a.opensBehind(path, start)
}

// holdsSecretSegment reports whether a path, which is not encoded, has a segment that is a secret.
func holdsSecretSegment(path string) bool {
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	var a account
	for start := 0; start < len(path); {
		stop := len(path)
		if slash := strings.IndexByte(path[start:], '/'); slash >= 0 {
			stop = start + slash
		}
		if s := path[start:stop]; secretForm(s) || isRandom(s) && a.opensBehind(path, start) {
			return true
		}
		start = stop + 1
	}
	return false
}

// isRandom reports whether a segment may be a random text: long, and of a word of letters and
// digits that no title has (pricing-for-teams-of-10).
func isRandom(segment string) bool {
	if len(segment) < minRandom {
		return false
	}
	const word = 8
	letters, digits, mixed := 0, 0, false
	for i := range len(segment) {
		switch c := segment[i]; {
		case '0' <= c && c <= '9':
			digits++
		case isAlphanumeric(c):
			letters++
		case c == '-' || c == '_' || c == '.' || c == '~' || c == '=' || c == ':' || c == '%':
			letters, digits = 0, 0
		default:
			return false
		}
		mixed = mixed || letters > 0 && digits > 0 && letters+digits >= word
	}
	return mixed
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}
