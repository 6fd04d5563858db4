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

// The page for people: one document that loads nothing but the event stream.
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

	// pagePolicy allows exactly this style and script, and no markup made of text (trusted types).
	pagePolicy = sync.OnceValue(func() string {
		return strings.Join([]string{
			"default-src 'none'", "style-src " + cspHash(pageCSS), "script-src " + cspHash(pageJS), "img-src data:", "connect-src 'self'",
			"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'",
		}, "; ")
	})
)

// cspHash returns the hash source of a text for a content security policy.
func cspHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func page(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", pagePolicy())
	_, _ = io.WriteString(w, pageText()) // an error means that the client has closed the connection
}
