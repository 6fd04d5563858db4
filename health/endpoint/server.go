package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"replypath/health"
)

// Source provides the data that the endpoint serves.
type Source interface {
	Status() health.Status
	Subscribe(buffer int) *health.Subscription // to events, each of which makes the streams send the status at once
}

// timeouts are the limits on the time that clients take.
type timeouts struct {
	header   time.Duration // of a request's header, and of the TLS handshake
	request  time.Duration
	response time.Duration
	idle     time.Duration
	shutdown time.Duration // for requests in progress when Serve ends
}

var defaultTimeouts = timeouts{header: 5 * time.Second, request: 10 * time.Second, response: 10 * time.Second, idle: time.Minute, shutdown: time.Second}

// Server serves the endpoint.
type Server struct {
	log           *slog.Logger
	source        Source
	metrics       *Metrics
	settings      chan health.EndpointSettings // holds the newest ones that are not applied yet
	timeouts      timeouts
	retryInterval time.Duration
	owner         SocketOwner
	onListen      func(*limitListener) // called with every listener, for tests
}

// New returns a server of the source's data. The owner tells clients on this host apart; without it they count as one. It does nothing until Serve.
func New(log *slog.Logger, settings health.EndpointSettings, s Source, owner SocketOwner) *Server {
	server := &Server{log: log, source: s, owner: owner, metrics: NewMetrics(s), settings: make(chan health.EndpointSettings, 1),
		timeouts: defaultTimeouts, retryInterval: 5 * time.Second, onListen: func(*limitListener) {}}
	server.settings <- settings
	return server
}

// Metrics returns the collector behind /metrics, whose Observe must be called with the outcomes of probes.
func (s *Server) Metrics() *Metrics { return s.metrics }

// Set changes the settings, also while serving; if they differ, all connections are closed. Not safe for concurrent use.
func (s *Server) Set(settings health.EndpointSettings) {
	select {
	case <-s.settings:
	default:
	}
	s.settings <- settings
}

// Serve serves until the context ends, and returns its error. It logs an error of listening and retries: a port that is in
// use must not end the service.
func (s *Server) Serve(ctx context.Context) error {
	var current health.EndpointSettings
	for stop := context.CancelFunc(func() {}); ; {
		select {
		case <-ctx.Done():
			stop()
			return ctx.Err()
		case settings := <-s.settings:
			if settings == current {
				continue
			}
			current = settings
			stop()
			stop = s.start(ctx, settings)
		}
	}
}

// start serves with these settings in the background. The returned function stops that and waits for its end.
func (s *Server) start(ctx context.Context, settings health.EndpointSettings) context.CancelFunc {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if settings.Listen.IsValid() {
			s.serveWithRetry(ctx, settings)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// serveWithRetry serves, again after each failure. It logs a repeated failure once.
func (s *Server) serveWithRetry(ctx context.Context, settings health.EndpointSettings) {
	lastErr := ""
	for ctx.Err() == nil {
		err := s.serve(ctx, settings, func() { lastErr = "" })
		if ctx.Err() != nil {
			return
		}
		if err.Error() != lastErr {
			lastErr = err.Error()
			s.log.Error("endpoint does not listen, retrying", "listen", settings.Listen, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.retryInterval):
		}
	}
}

// serve serves until the context ends or the listener fails.
func (s *Server) serve(ctx context.Context, settings health.EndpointSettings, listening func()) error {
	l, err := listen(ctx, settings, s.log)
	if err != nil {
		return err
	}
	defer l.Close()
	listening()
	s.log.Info("endpoint listens", "at", l.Addr(), "tls", settings.CertFile != "", "token", settings.TokenFile != "")
	if settings.TokenFile != "" && settings.CertFile == "" && !settings.Listen.Addr().IsLoopback() {
		s.log.Warn("the token of the endpoint is sent without TLS and can be read on the way: set tls_cert and tls_key in [endpoint]", "listen", settings.Listen)
	}
	limited := newLimitListener(l, currentConnLimit())
	server := s.newHTTPServer(ctx, settings, limited)
	s.onListen(limited)
	var outer net.Listener = limited
	if settings.CertFile != "" {
		pair := &certificateLoader{cert: settings.CertFile, key: settings.KeyFile, log: s.log}
		s.metrics.certificate.Store(pair)
		defer s.metrics.certificate.Store(nil)
		outer = tls.NewListener(limited, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.getCertificate})
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(outer) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		shutdownCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.timeouts.shutdown)
		defer cancel()
		err = server.Shutdown(shutdownCtx)
	}
	return errors.Join(err, server.Close())
}

func (s *Server) newHTTPServer(ctx context.Context, settings health.EndpointSettings, c *limitListener) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true) // HTTP/2 would multiplex requests, which maxConns would not limit
	return &http.Server{
		Handler:           c.trackActive(restrictAccess(settings, s.log, s.routes())),
		Protocols:         &protocols,
		ReadHeaderTimeout: s.timeouts.header,
		ReadTimeout:       s.timeouts.request,
		WriteTimeout:      s.timeouts.response,
		IdleTimeout:       s.timeouts.idle,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withConn,
		// Protocol errors of clients are not logged, as any client can cause them at any rate.
		ErrorLog: slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelDebug),
	}
}
