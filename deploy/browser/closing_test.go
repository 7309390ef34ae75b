//go:build proof

package browser

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A visitor who leaves at once has arrived all the same. In the statement after the script, a
// window closes itself, a page goes on to another, a frame is torn out of its page. No beacon may
// be lost: none of 500.
func TestPageClosedAtOnce(t *testing.T) {
	const windows, frames = 60, 440
	v := newVisitor(t, "closing.example", "<title>opener</title>")
	const script = `<script src="` + edgeURL + `/t.js"></script>`
	v.serve("closing.example/closes", script+`<script>window.close()</script>`)
	v.serve("closing.example/leaves", script+`<script>location.replace("/empty")</script>`)
	v.serve("closing.example/empty", `<script>window.close()</script>`)
	v.serve("closing.example/torn", script+`<script>frameElement.remove()</script>`)
	v.open("/")
	v.exec(fmt.Sprintf(`
		let windows = %d, frames = %d;
		const openNext = () => {
			if (!windows) return;
			const n = windows--;
			const w = open((n %% 2 ? "/closes" : "/leaves") + "?via=w" + n, "", "width=100,height=100");
			const wait = setInterval(() => { if (w.closed) { clearInterval(wait); openNext(); } }, 5);
		};
		const frameNext = () => {
			if (!frames) return;
			const f = document.createElement("iframe");
			f.src = "/torn?via=f" + frames--;
			document.body.append(f);
			const wait = setInterval(() => { if (!f.isConnected) { clearInterval(wait); frameNext(); } }, 5);
		};
		for (let i = 0; i < 4; i++) { openNext(); frameNext(); }`, windows, frames))
	affiliates := make(map[string]bool)
	for deadline := time.Now().Add(limit); len(affiliates) < windows+frames && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
		for _, c := range world.received.of(v.host) {
			affiliates[c.AffiliateId] = true
		}
	}
	var lost []string
	for n := range windows {
		if name := fmt.Sprint("w", n+1); !affiliates[name] {
			lost = append(lost, name)
		}
	}
	for n := range frames {
		if name := fmt.Sprint("f", n+1); !affiliates[name] {
			lost = append(lost, name)
		}
	}
	if len(lost) > 0 {
		t.Errorf("%d of %d beacons are lost: %s", len(lost), windows+frames, strings.Join(lost, " "))
	}
}
