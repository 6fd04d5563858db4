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

// Source is asked for what is shown.
type Source interface {
	Status() health.Status
	Subscribe(buffer int) *health.Subscription // to the events: each is shown at once
}

// What a client may take. Whoever asks for more or is slower loses the connection.
const (
	headerTimeout       = 5 * time.Second // until a request's header is there; a TLS handshake has as long
	requestTimeout      = 10 * time.Second
	responseTimeout     = 10 * time.Second
	idleTimeout         = time.Minute
	shutdownTimeout     = time.Second // for answers that are under way when it ends
	maxHeaderBytes      = 8 << 10
	maxConns            = 128
	maxStreams          = 32 // of events, at once
	maxStreamsPerClient = 8  // of them for one address
	maxScrapes          = 4  // of metrics, at once
)

// Server is the endpoint.
type Server struct {
	log           *slog.Logger
	source        Source
	metrics       *Metrics
	settings      chan health.EndpointSettings // the newest that were set and not yet taken
	retryInterval time.Duration
	onListen      func(*limitListener) // is told of every listener
}

// New is an endpoint that shows what the source says. It does nothing until Serve.
func New(log *slog.Logger, settings health.EndpointSettings, s Source) *Server {
	server := &Server{log: log, source: s, metrics: NewMetrics(s), settings: make(chan health.EndpointSettings, 1), retryInterval: 5 * time.Second, onListen: func(*limitListener) {}}
	server.settings <- settings
	return server
}

// Metrics are what the endpoint shows at /metrics; it wants to be told of outcomes.
func (s *Server) Metrics() *Metrics { return s.metrics }

// Set changes the options, also while it serves. Connections are closed when they differ. Only one goroutine may call
// it.
func (s *Server) Set(settings health.EndpointSettings) {
	select {
	case <-s.settings:
	default:
	}
	s.settings <- settings
}

// Serve answers until the context ends, whose error it gives. What keeps it from listening is logged, and tried again
// until it passes: a port that is taken is no reason for the service to end.
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

// start serves these options in the background. The function that it gives ends that, and waits for the end.
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

// serveWithRetry serves, and begins anew after a failure. The same failure is logged once.
func (s *Server) serveWithRetry(ctx context.Context, settings health.EndpointSettings) {
	lastErr := ""
	for ctx.Err() == nil {
		err := s.serve(ctx, settings, func() { lastErr = "" })
		if ctx.Err() != nil {
			return
		}
		if err.Error() != lastErr {
			lastErr = err.Error()
			s.log.Error("the endpoint does not answer; will retry", "listen", settings.Listen, "err", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.retryInterval):
		}
	}
}

// serve answers until the context ends or the listener fails.
func (s *Server) serve(ctx context.Context, settings health.EndpointSettings, listening func()) error {
	l, err := listen(ctx, settings, s.log)
	if err != nil {
		return err
	}
	defer l.Close()
	listening()
	s.log.Info("the endpoint answers", "at", l.Addr(), "tls", settings.CertFile != "", "token", settings.TokenFile != "")
	if settings.TokenFile != "" && settings.CertFile == "" && !settings.Listen.Addr().IsLoopback() {
		s.log.Warn("whoever listens on the wire can read the endpoint's token: give it a certificate", "listen", settings.Listen)
	}
	limited := newLimitListener(l)
	server := s.newHTTPServer(ctx, settings, limited)
	s.onListen(limited)
	var outer net.Listener = limited
	if settings.CertFile != "" {
		pair := &certificateLoader{cert: settings.CertFile, key: settings.KeyFile, log: s.log}
		outer = tls.NewListener(limited, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: pair.getCertificate})
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(outer) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		shutdownCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		err = server.Shutdown(shutdownCtx)
	}
	return errors.Join(err, server.Close())
}

func (s *Server) newHTTPServer(ctx context.Context, settings health.EndpointSettings, c *limitListener) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true) // HTTP/2 would put any number of requests on one connection
	return &http.Server{
		Handler:           c.trackActive(restrictAccess(settings, s.log, s.routes())),
		Protocols:         &protocols,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      responseTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnContext:       withConn,
		// What strangers do wrong is not worth a line in the log each.
		ErrorLog: slog.NewLogLogger(slog.NewTextHandler(io.Discard, nil), slog.LevelDebug),
	}
}
