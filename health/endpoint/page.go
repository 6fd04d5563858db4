package endpoint

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"sync"
)

// The page for people: one document that fetches nothing but the stream of events.
var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/page.js
	pageJS string

	pageText = sync.OnceValue(func() string {
		return strings.NewReplacer("{{style}}", pageCSS, "{{script}}", pageJS).Replace(pageHTML)
	})

	// pagePolicy lets exactly this style and script be used, and nothing make markup of text.
	pagePolicy = sync.OnceValue(func() string {
		return strings.Join([]string{
			"default-src 'none'", "style-src " + cspHash(pageCSS), "script-src " + cspHash(pageJS), "img-src data:", "connect-src 'self'",
			"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
		}, "; ")
	})
)

// cspHash names a text as a content security policy does.
func cspHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func page(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy())
	_, _ = io.WriteString(w, pageText()) // whoever has gone away does not want it
}
