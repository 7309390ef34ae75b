package clicks

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"

	"github.com/valyala/fasthttp"
)

//go:embed script.js
var script []byte

var scriptTag = func() string {
	sum := sha256.Sum256(script)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}()

// serveScript answers GET /t.js, the tracking script. Browsers may keep it for an hour and then ask whether it changed.
func (s *Server) serveScript(ctx *fasthttp.RequestCtx) {
	cors(ctx)
	h := &ctx.Response.Header
	h.Set(fasthttp.HeaderCacheControl, "public, max-age=3600")
	h.Set(fasthttp.HeaderETag, scriptTag)
	h.Set(fasthttp.HeaderXContentTypeOptions, "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if string(ctx.Request.Header.Peek(fasthttp.HeaderIfNoneMatch)) == scriptTag {
		ctx.SetStatusCode(fasthttp.StatusNotModified)
		return
	}
	ctx.SetContentType("text/javascript; charset=utf-8") // RFC 9239
	ctx.Response.SetBodyRaw(script)
}
