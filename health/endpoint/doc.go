// Package endpoint serves the Status over HTTP to monitoring systems, load balancers, Prometheus and browsers. It is
// read-only: no request changes anything.
//
// A request goes these steps:
//
//	limit_listener.go  is there room for the connection? (limits.go)
//	access.go          method, token (token.go), host name
//	handlers.go        routes, and the answers in JSON and text
//	page.go            the page for people
//	stream.go          the Status as server-sent events
//	metrics.go         Prometheus; the series are in series.go and series_*.go, made in the library's form by scrape.go
//
// server.go listens (listen.go), reloads the certificate (certificate.go) and applies new settings.
package endpoint
